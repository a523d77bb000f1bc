"""HTTP/1.1 requests in, responses out. Bytes in, values out; no sockets.

`parser` has the requests of a connection, `plain` a shorter way for most of them, `responses` what
is sent. Nothing depends on how the bytes are cut into pieces: what is wrong is refused with the
same status when its first wrong byte is there, or as soon as the line or the head is whole.
"""

from servers.http.messages import BadRequest, Headers, Request, Response
from servers.http.parser import RequestParser
from servers.http.plain import plain_request
from servers.http.request_line import longest_target
from servers.http.responses import has_no_content, options_response, plain_response, render

__all__ = [
    "BadRequest",
    "Headers",
    "Request",
    "RequestParser",
    "Response",
    "has_no_content",
    "longest_target",
    "options_response",
    "plain_request",
    "plain_response",
    "render",
]
