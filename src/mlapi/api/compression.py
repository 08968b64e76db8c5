"""Large answers go compressed to callers that accept it."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

LEVEL = 1
"""How hard gzip tries, of 9. More costs several times the time, for a few percent."""

FILES = "/jobs/"
"""What the paths of files begin with."""


class Compression:
    """Compress answers over a size, if the header Accept-Encoding names gzip; nobody else pays for it.

    Files of jobs are not, because callers may ask for parts of them by their bytes.

    No answer holds a secret beside what its caller sent, so its size gives nothing away (BREACH).
    """

    def __init__(self, app: ASGIApp, over_bytes: int) -> None:
        self.app = app
        self._compressing = GZipMiddleware(app, minimum_size=over_bytes, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        for name, value in scope.get("headers", ()):
            if name == b"accept-encoding" and b"gzip" in value and not scope["path"].startswith(FILES):
                await self._compressing(scope, receive, send)
                return
        await self.app(scope, receive, send)
