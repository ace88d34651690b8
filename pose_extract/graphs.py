"""MediaPipe's own subgraphs, wired anew: only what is needed, and with the frames' real times.

MediaPipe's ``solutions`` API gives the same landmarks, bit for bit, for the same times (a test), but Holistic also
estimates the face, which nobody asked for (7 % of the CPU), and both count 33,333 us a frame whatever the video's rate.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.quiet import silenced_stderr

PEOPLE = "poselandmarkcpu__pose_detections"
"""The stream inside the body's graph with everybody whom its detector sees; it runs in frames without a track."""

FIRST = 33_333
"""Time, microseconds, of a clip's first frame: MediaPipe's filters take 0 for "not yet", `solutions` begins here."""

_CONSTANTS = """
node {
  calculator: "ConstantSidePacketCalculator"
  output_side_packet: "PACKET:0:model_complexity"
  output_side_packet: "PACKET:1:smooth_landmarks"
  output_side_packet: "PACKET:2:use_prev_landmarks"
  output_side_packet: "PACKET:3:enable_segmentation"
  options { [mediapipe.ConstantSidePacketCalculatorOptions.ext] {
    packet { int_value: 1 }
    packet { bool_value: %s }
    packet { bool_value: true }
    packet { bool_value: false }
  } }
}
"""
_BODY = """
node {
  calculator: "PoseLandmarkCpu"
  input_stream: "IMAGE:image"
  input_side_packet: "MODEL_COMPLEXITY:model_complexity"
  input_side_packet: "SMOOTH_LANDMARKS:smooth_landmarks"
  input_side_packet: "USE_PREV_LANDMARKS:use_prev_landmarks"
  input_side_packet: "ENABLE_SEGMENTATION:enable_segmentation"
  output_stream: "LANDMARKS:body"
  output_stream: "WORLD_LANDMARKS:world"
}
"""
_HANDS = """
node {
  calculator: "HandLandmarksLeftAndRightCpu"
  input_stream: "IMAGE:image"
  input_stream: "POSE_LANDMARKS:body"
  output_stream: "LEFT_HAND_LANDMARKS:left_hand"
  output_stream: "RIGHT_HAND_LANDMARKS:right_hand"
}
"""
_DETECTOR = """
node {
  calculator: "PoseDetectionCpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:people"
}
"""


class Graph:
    """A running MediaPipe graph: packets in, the packets of that moment out. Close it: otherwise about 100 MB leak.

    Args:
        text: the graph, as a text proto.
        outputs: streams to observe; streams of protos, or of lists of protos where the name is in ``lists``.
        lists: those of ``outputs`` that carry lists.
    """

    def __init__(self, text: str, outputs: tuple[str, ...], lists: tuple[str, ...] = ()) -> None:
        import mediapipe
        from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
        from mediapipe.python import CalculatorGraph, ValidatedGraphConfig, packet_creator, packet_getter, resource_util

        resource_util.set_resource_dir(os.path.dirname(os.path.dirname(mediapipe.__file__)))
        self._create, self._get, self._lists = packet_creator, packet_getter, lists
        self._found: dict[str, Any] = {}
        # expanded first, as `solutions` does it: from the text itself the subgraphs come out with other numbers
        expanded = ValidatedGraphConfig()
        expanded.initialize(graph_config=text)
        config = CalculatorGraphConfig()
        config.ParseFromString(expanded.binary_config)
        self._graph = CalculatorGraph(graph_config=config)
        for stream in outputs:
            self._graph.observe_output_stream(stream, self._found.__setitem__)
        self._started = False

    def run(self, image: NDArray[np.uint8], seconds: float, **protos: Any) -> dict[str, Any]:
        """Feed one moment.

        Args:
            image: RGB, uint8 (height, width, 3), C-contiguous.
            seconds: later than at the call before.
            protos: values of further input streams.

        Returns:
            the observed streams that have a value.
        """
        if not self._started:  # models load in the background, and log, until the first frame is through
            self._started = True
            with silenced_stderr():
                self._graph.start_run()
                return self._process(image, seconds, protos)
        return self._process(image, seconds, protos)

    def close(self) -> None:
        """Stop the graph and free what it holds."""
        if self._started:
            self._graph.close()

    def _process(self, image: NDArray[np.uint8], seconds: float, protos: dict[str, Any]) -> dict[str, Any]:
        from mediapipe.python import ImageFormat

        time = FIRST + round(seconds * 1_000_000)
        self._found.clear()
        constant = image.view()
        constant.flags.writeable = False  # MediaPipe copies what might change
        packet = self._create.create_image_frame(constant, image_format=ImageFormat.SRGB)
        self._graph.add_packet_to_input_stream("image", packet.at(time))
        for stream, proto in protos.items():
            self._graph.add_packet_to_input_stream(stream, self._create.create_proto(proto).at(time))
        self._graph.wait_until_idle()
        return {
            stream: (self._get.get_proto_list if stream in self._lists else self._get.get_proto)(packet)
            for stream, packet in self._found.items()
        }


def body_graph(hands: bool, smoothing: bool) -> Graph:
    """``body``, ``world`` and, if ``hands``, ``left_hand`` and ``right_hand``; :data:`PEOPLE` where nobody is tracked.

    Landmark lists of one person, the most prominent one, tracked from call to call.
    """
    text = 'input_stream: "image"' + _CONSTANTS % ("true" if smoothing else "false") + _BODY
    outputs: tuple[str, ...] = ("body", "world", PEOPLE)
    if hands:
        text, outputs = text + _HANDS, (*outputs, "left_hand", "right_hand")
    return Graph(text, outputs, lists=(PEOPLE,))


def hands_graph() -> Graph:
    """``left_hand`` and ``right_hand`` of the person whose landmarks are fed as ``body``."""
    return Graph('input_stream: "image" input_stream: "body"' + _HANDS, ("left_hand", "right_hand"))


def detector_graph() -> Graph:
    """``people``: everybody whom the body's detector sees in an image by itself, a list of detections."""
    return Graph('input_stream: "image"' + _DETECTOR, ("people",), lists=("people",))
