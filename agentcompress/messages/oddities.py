"""What a conversation holds that no wire format knows: left as it is, and told of once in a process."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any

_log = logging.getLogger("agentcompress")

_PLAIN_NAME = re.compile(r"[\w.-]{1,40}")
_MOST_TOLD = 100
_told: set[str] = set()
_telling = threading.Lock()

KNOWN_PARTS = frozenset(
    (
        *("text", "image", "image_url", "input_audio", "audio", "video", "video_url", "file", "refusal", "document"),
        *(
            "thinking",
            "redacted_thinking",
            "reasoning",
            "reasoning_content",
            "tool_use",
            "tool_result",
            "search_result",
        ),
        *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
        *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result"),
        *("mcp_tool_use", "mcp_tool_result", "container_upload", "tool_reference", "compaction"),
        *("input_text", "output_text", "input_image", "input_file", "summary_text", "reasoning_text"),
        *("computer_screenshot", "function_call", "tool_call", "invalid_tool_call", "text-plain", "non_standard"),
    )
)
"""Types of parts that some wire format has, or LangChain."""

KNOWN_ITEMS = frozenset(
    (
        *("message", "reasoning", "item_reference", "compaction", "compaction_trigger", "mcp_list_tools", "mcp_call"),
        *("function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
        *("computer_call", "computer_call_output", "file_search_call", "web_search_call", "image_generation_call"),
        *("code_interpreter_call", "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output"),
        *("apply_patch_call", "apply_patch_call_output", "mcp_approval_request", "mcp_approval_response"),
        *("tool_search_call", "tool_search_output"),
    )
)
"""Types of items of OpenAI Responses."""


def note_oddity(what: str, name: Any = None) -> None:
    """Warn of something unknown that is left as it is, once in a process.

    what: its kind, which is logged. name: what it calls itself, which is logged where it is but a name.
    """
    if name is not None:
        what = (
            f"{what} {name!r}" if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else f"{what} of no known name"
        )
    if what in _told:
        return
    with _telling:
        if what in _told or len(_told) >= _MOST_TOLD:
            return
        _told.add(what)
    _log.warning("%s is not known, and is left as it is", what)
