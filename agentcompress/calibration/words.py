"""The words that made-up episodes are put together from."""

from __future__ import annotations

LIBRARIES = ("werkzeug/routing/map.py", "sqlalchemy/engine/base.py", "pluggy/_callers.py", "urllib3/connectionpool.py")
ERRORS = (
    ("TypeError", "unsupported operand type(s) for +: 'NoneType' and 'int'"),
    ("KeyError", "'total'"),
    ("AttributeError", "'NoneType' object has no attribute 'items'"),
    ("ValueError", "not enough values to unpack (expected 3, got 2)"),
    ("AssertionError", "assert 41 == 42"),
    ("IndexError", "list index out of range"),
)
SITES = {
    "shop": (
        ("Add the {thing} to the basket", "button", "Add to basket: {Thing}"),
        ("Show me what others say about the {thing}", "link", "{Thing} - 14 customer reviews"),
        ("Find out how the {thing} can be sent back", "link", "Returns and refunds for {Thing}"),
        ("Compare sizes of the {thing}", "tab", "Measurements ({Thing})"),
    ),
    "forum": (
        ("Answer the post about the {thing}", "link", "Reply to: my {thing} broke after a week"),
        ("Vote for the thread on the best {thing}", "button", "Upvote 'Which {thing} should I get?'"),
        ("See who wrote about the {thing}", "link", "Profile of the author of '{Thing} pictures'"),
    ),
    "tracker": (
        ("Take over the ticket about the {thing} page", "button", "Assign to me: {Thing} page does not load"),
        ("Close the bug about {thing} prices", "button", "Mark as done: wrong {thing} price"),
        ("Change the due date of the {thing} milestone", "link", "Edit milestone {Thing} launch"),
    ),
}
THINGS = [
    "kettle",
    "rain coat",
    "desk lamp",
    "trail shoe",
    "suitcase",
    "teapot",
    "bread knife",
    "bicycle bell",
    "armchair",
    "head torch",
    "notebook",
    "umbrella",
    "hammock",
    "scarf",
    "blender",
    "tent",
]
ROLES = ("link", "button", "heading", "image", "StaticText", "listitem", "textbox", "checkbox", "menuitem", "tab")
LABELS = [
    "Home",
    "About us",
    "Contact",
    "Search",
    "Sign in",
    "Newsletter",
    "Terms of use",
    "Next page",
    "Sort by price",
    "Filter",
    "Wish list",
    "Help",
    "Language",
    "Cookies",
    "Careers",
    "Store locator",
    "Share",
    "Print",
    "Top rated",
    "New arrivals",
]
TOWNS = [
    "Aarhus",
    "Basel",
    "Cork",
    "Delft",
    "Espoo",
    "Faro",
    "Genoa",
    "Halle",
    "Ipoh",
    "Jena",
    "Kobe",
    "Leeds",
    "Mainz",
    "Nice",
    "Oslo",
    "Pisa",
    "Riga",
    "Sofia",
    "Turin",
    "Ulm",
]
