"""Pages of a listing (AIP-158): their size, and tokens that mean something to this node alone."""

from __future__ import annotations

import base64
import binascii

from node.errors import InvalidInput

DEFAULT_SIZE = 100
LARGEST_SIZE = 1000


def size_of(asked: int) -> int:
    """How many items a page has; more than the largest are cut, as the AIP wants it.

    Raises:
        InvalidInput: less than nothing is asked for.
    """
    if asked < 0:
        raise InvalidInput("A page cannot be smaller than nothing.", field="page_size", actual=asked)
    return min(asked or DEFAULT_SIZE, LARGEST_SIZE)


def token_after(cursor: str) -> str:
    """The token of the page that begins after `cursor`; empty if there is none ("")."""
    return base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("=")


def cursor_of(token: str) -> str:
    """The cursor in a token; "" for the first page.

    Raises:
        InvalidInput: no token of this node's.
    """
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as fault:
        raise InvalidInput(
            "This is no page token of this node's.",
            fix="Send the `next_page_token` of the page before, unchanged.",
            field="page_token",
        ) from fault
