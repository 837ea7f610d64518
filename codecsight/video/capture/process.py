"""Recording of one source, with a feed to local readers and a status message every second."""

import threading
from dataclasses import asdict

import structlog

from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.sound import AudioInfo, AudioPacket
from codecsight.logs import FailureLog
from codecsight.video.capture.feed.protocol import CaptureStatus, FeedError
from codecsight.video.capture.feed.server import FeedServer
from codecsight.video.capture.source import Source, SourceState
from codecsight.video.recording.recorder import Recorder

log = structlog.get_logger()

STATUS_S = 1.0
NOT_RECORDED = "not recorded; to record it, where that is legal, set the camera's 'audio: true'"


class CaptureProcess:
    """Reads one source; writes each item to the recorder first, then to the feed.

    `audio`: sound is recorded too, if the source reads it.
    """

    def __init__(
        self, source: Source, recorder: Recorder, feed: FeedServer, audio: bool = False
    ) -> None:
        self._source = source
        self._recorder = recorder
        self._feed = feed
        self._ended = threading.Event()
        self._failures = FailureLog("source")
        self._audio, self._known_sound = audio, ""
        source.on_state = self._on_state
        source.on_audio = self._on_audio

    def run(self) -> None:
        """Run until the source ends, then finish the last segment and send a final status."""
        reporter = threading.Thread(target=self._report, name="status", daemon=True)
        reporter.start()
        try:
            for item in self._source.items():
                self._recorder.write(item)
                self._send(item)
        finally:
            self._recorder.close()
            self._ended.set()
            reporter.join()
            self._feed.send(self.status())
            self._feed.close()

    def status(self) -> CaptureStatus:
        """State of the source, and the counts of the recorder."""
        counts = asdict(self._recorder.stats)
        errors = [counts.pop(name) for name in ("error", "spool_error", "alarm")]
        return CaptureStatus(
            state=self._source.state.value,
            detail=self._source.state_detail,
            error="; ".join(filter(None, errors)),
            feed_dropped=self._feed.dropped,
            anomalies=dict(self._source.anomalies),
            recorder=counts,
        )

    def _send(self, item: StreamInfo | Packet) -> None:
        try:
            self._feed.send(item)
        except FeedError as error:
            log.warning("packet not sent", error=str(error))

    def _on_audio(self, item: AudioInfo | AudioPacket) -> None:
        if isinstance(item, AudioPacket):
            self._recorder.write_audio(item)
            return
        fate = self._recorder.start_audio(item) if self._audio else NOT_RECORDED
        if (sound := f"{item}: {fate}") != self._known_sound:  # once, not at each connection
            self._known_sound = sound
            log.info("the camera has sound", sound=str(item), recording=fate)

    def _on_state(self, state: SourceState, detail: str) -> None:
        if state is SourceState.DOWN:
            self._failures.failed(detail)
            self._recorder.disconnected()
        elif state is SourceState.LIVE:
            self._failures.recovered()
            if detail:
                log.info("source", detail=detail)
        elif state is not SourceState.CONNECTING:
            log.warning("source", state=state.value, detail=detail)
        self._feed.send(self.status())

    def _report(self) -> None:
        while not self._ended.wait(STATUS_S):
            self._feed.send(self.status())
