"""Who calls, by its certificate, and what that entitles it to."""

from collections.abc import Collection

from actors.rpc.transport import Context
from codecsight.uplink.cloud_link import StreamRejected
from codecsight.uplink.messages import Hello, RejectReason

_NAMES = "x509_subject_alternative_name"


class PeerAuthorizer:
    """A certificate that names one of `sites` belongs to that site, which may send and see its own
    streams only: a stolen edge box must not look at the others. Any other certificate of the
    authority is an operator's. Without TLS (on loopback) nobody is told apart.
    """

    def __init__(self, sites: Collection[str], *, secure: bool) -> None:
        self._sites = frozenset(sites)
        self._secure = secure

    def admit(self, context: Context, hello: Hello) -> None:
        """Whether this peer may send this stream. Raises StreamRejected."""
        if hello.site not in self._sites:
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the site {hello.site!r} is not in the cloud's list of sites; add it there",
            )
        if self._secure and hello.site not in self._names(context):
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the certificate is not that of the site {hello.site!r}; it names "
                + (", ".join(sorted(self._names(context))) or "nobody"),
            )
        if not _belongs(hello.stream, hello.site):
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the site {hello.site!r} has no stream {hello.stream!r}: "
                f"its streams are named {hello.site}.CAMERA",
            )

    def may_see(self, context: Context, stream: str) -> bool:
        """Whether this peer may know of this stream."""
        caller = self._names(context) & self._sites
        return not caller or any(_belongs(stream, site) for site in caller)

    def _names(self, context: Context) -> frozenset[str]:
        names = context.auth_context().get(_NAMES, ()) if self._secure else ()
        return frozenset(name.decode(errors="replace") for name in names)


def _belongs(stream: str, site: str) -> bool:
    return stream.startswith(f"{site}.") and len(stream) > len(site) + 1
