"""Authorization of gRPC peers by their certificates.

Without TLS (on loopback only) peers can't be identified: each of them is an operator.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass

import structlog

from actors.rpc.peer_limits import RefusalLog, host_of
from actors.rpc.transport import Context
from codecsight.core.names import NameFormError, check_stream, shown
from codecsight.uplink.cloud_link import StreamRejected
from codecsight.uplink.messages import Hello, RejectReason

log = structlog.get_logger()

MAX_NAMES = 5
"""Names of a certificate that a message shows."""
_NAMES_PROPERTY = "x509_subject_alternative_name"


@dataclass(frozen=True, slots=True)
class Roles:
    """What certificates may do, by the names in them. A name that is in no list may do nothing.

    A site sends its own streams, and views these alone, so that a stolen edge device gives no
    access to others. An operator views all streams and the status of the cloud.
    """

    sites: Collection[str]
    operators: Collection[str] = ()


class PeerAuthorizer:
    """Decides what a peer may do. Refusals are logged with the names that its certificate holds."""

    def __init__(self, roles: Roles, *, secure: bool) -> None:
        self._sites = frozenset(roles.sites)
        self._operators = frozenset(roles.operators)
        self._secure = secure
        self._refusals = RefusalLog()

    def authorize_uplink(self, context: Context, hello: Hello) -> None:
        """Raise StreamRejected unless this peer may send this stream."""
        try:
            check_stream(hello.stream)
        except NameFormError as error:
            raise StreamRejected(RejectReason.UNKNOWN_STREAM, str(error)) from error
        if hello.site not in self._sites:
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the site {shown(hello.site)} is not in the cloud's list of sites; add it there",
            )
        if self._secure and hello.site not in self._names(context):
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the certificate is not that of the site {shown(hello.site)}; it names "
                + _join(self._names(context)),
            )
        if not _belongs(hello.stream, hello.site):
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the site {shown(hello.site)} has no stream {hello.stream!r}: "
                f"its streams are named {hello.site}.CAMERA",
            )

    def refusal_to_view(self, context: Context, stream: str) -> str:
        """Why this peer may not view this stream; empty if it may."""
        if self._is_operator(context):
            return ""
        sites = self._names(context) & self._sites
        if any(_belongs(stream, site) for site in sites):
            return ""
        if sites:
            return self._refuse(context, f"the stream {shown(stream)} belongs to another site")
        return self._refuse(context, self._unlisted(context))

    def refusal_to_list(self, context: Context) -> str:
        """Why this peer may not list streams; empty if it may list those that it may view."""
        if self._is_operator(context) or self._names(context) & self._sites:
            return ""
        return self._refuse(context, self._unlisted(context))

    def refusal_to_operate(self, context: Context) -> str:
        """Why this peer may not read the status of the cloud; empty if it may."""
        return "" if self._is_operator(context) else self._refuse(context, self._unlisted(context))

    def visible(self, context: Context, streams: Collection[str]) -> frozenset[str]:
        """Those of the `streams` that this peer may view. Logs nothing."""
        if self._is_operator(context):
            return frozenset(streams)
        sites = self._names(context) & self._sites
        return frozenset(one for one in streams if any(_belongs(one, site) for site in sites))

    def caller(self, context: Context) -> str:
        """Who calls, for limits: the names in the certificate, or the address without one."""
        return " ".join(sorted(self._names(context))) or host_of(context)

    def _is_operator(self, context: Context) -> bool:
        return not self._secure or bool(self._names(context) & self._operators)

    def _unlisted(self, context: Context) -> str:
        names = _join(self._names(context))
        return f"the certificate names {names}, which the cloud's 'operators' do not list"

    def _refuse(self, context: Context, reason: str) -> str:
        names = sorted(self._names(context))
        left_out = self._refusals.admit(host_of(context), time.monotonic())
        if left_out is not None:
            details = {"certificate": names[:MAX_NAMES], "reason": reason}
            peer = context.peer()
            log.warning("control call refused", peer=peer, not_logged=left_out, **details)
        return reason

    def _names(self, context: Context) -> frozenset[str]:
        names = context.auth_context().get(_NAMES_PROPERTY, ()) if self._secure else ()
        return frozenset(name.decode(errors="replace") for name in names)


def _join(names: Collection[str]) -> str:
    return ", ".join(map(shown, sorted(names)[:MAX_NAMES])) or "nothing"


def _belongs(stream: str, site: str) -> bool:
    return stream.startswith(f"{site}.")
