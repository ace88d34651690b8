"""``piumr-demo``: a page of this machine where a video or the webcam becomes a skeleton and predictions over time.

The server (aiohttp) listens on this machine alone unless told otherwise and keeps nothing. Whatever decodes pictures
runs in processes of its own (:mod:`piumr.demo.pose_process`), so that a video that crashes one does not end the server.
"""
