"""The page as the browser gets it: in its reader's language, with nothing from elsewhere, under strict headers."""

from http import HTTPStatus
from pathlib import Path

from aiohttp import web

PAGE = Path(__file__).parent / "page"
FILES = {
    "app.js": "text/javascript",
    "window.js": "text/javascript",
    "words.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}
LANGUAGES = ("ko", "en")
LANGUAGE_COOKIE = "language"

#: Nothing but our own files runs, nothing is sent elsewhere, and no text of anybody's can become a script.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(request: web.Request, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Give the one page there is; what it shows depends on its address."""
    html = (PAGE / "index.html").read_text()
    html = html.replace("{{lang}}", language(request)).replace("{{art}}", (PAGE / "art.svg").read_text())
    vary = {"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"}
    return web.Response(text=html, content_type="text/html", headers=vary, status=status)


def file(request: web.Request) -> web.Response:
    """Give one of the page's files; the browser asks each time, so that an edit is seen."""
    name = request.match_info["name"]
    if name not in FILES:
        raise web.HTTPNotFound
    text = (PAGE / name).read_text()
    return web.Response(text=text, content_type=FILES[name], headers={"Cache-Control": "no-cache"})


def language(request: web.Request) -> str:
    """Say which language: the chosen one, else the first that the browser prefers, else Korean."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    wanted = [_weighed(part) for part in request.headers.get("Accept-Language", "").split(",")]
    best = sorted((weight, tag) for weight, tag in wanted if tag in LANGUAGES and weight < 0)
    return best[0][1] if best else LANGUAGES[0]


def _weighed(part: str) -> tuple[float, str]:
    """Read `en-GB;q=0.8` as (-0.8, "en"): the most wanted sorts first."""
    tag, _, quality = part.strip().partition(";q=")
    try:
        weight = float(quality or 1)
    except ValueError:
        weight = 0.0
    return -weight, tag.split("-")[0].lower()
