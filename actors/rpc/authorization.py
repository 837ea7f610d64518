"""Authorization of gRPC peers by their certificates."""

from collections.abc import Collection

from actors.rpc.transport import Context
from codecsight.uplink.cloud_link import StreamRejected
from codecsight.uplink.messages import Hello, RejectReason

_NAMES_PROPERTY = "x509_subject_alternative_name"


class PeerAuthorizer:
    """Decides which streams a peer may send and view.

    A certificate that names one of `sites` belongs to that site. A site may send and view only its
    own streams, so a stolen edge device gives no access to others. Any other certificate of the
    authority belongs to an operator, who may view all streams. Without TLS (`secure` is false,
    for loopback) peers can't be identified, and every peer may view all streams.
    """

    def __init__(self, sites: Collection[str], *, secure: bool) -> None:
        self._sites = frozenset(sites)
        self._secure = secure

    def authorize_uplink(self, context: Context, hello: Hello) -> None:
        """Raise StreamRejected unless this peer may send this stream."""
        if hello.site not in self._sites:
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the site {hello.site!r} is not in the cloud's list of sites; add it there",
            )
        if self._secure and hello.site not in self._names(context):
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the certificate is not that of the site {hello.site!r}; it names "
                + (", ".join(sorted(self._names(context))) or "nothing"),
            )
        if not _belongs(hello.stream, hello.site):
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"the site {hello.site!r} has no stream {hello.stream!r}: "
                f"its streams are named {hello.site}.CAMERA",
            )

    def may_view(self, context: Context, stream: str) -> bool:
        """Whether this peer may view this stream."""
        own_sites = self._names(context) & self._sites
        return not own_sites or any(_belongs(stream, site) for site in own_sites)

    def _names(self, context: Context) -> frozenset[str]:
        names = context.auth_context().get(_NAMES_PROPERTY, ()) if self._secure else ()
        return frozenset(name.decode(errors="replace") for name in names)


def _belongs(stream: str, site: str) -> bool:
    return stream.startswith(f"{site}.") and len(stream) > len(site) + 1
