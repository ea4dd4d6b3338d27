"""What the source segmenter must know of a language: where statements stand one below the other, and how to comment.

Node types are those of the grammars in tree-sitter-language-pack. A language that is not here is cut at lines.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from agentcompress.errors import SegmentationError

_HASH, _SLASHES, _DASHES = ("#", ""), ("//", ""), ("--", "")
_MARKUP, _STARS = ("<!--", "-->"), ("/*", "*/")


_ASCII_ONLY = frozenset(("bash",))
"""Languages whose scanner asks C's `isalpha` about characters beyond Latin-1, which ends the process."""

_AS_LETTERS = bytes(byte if byte < 0x80 else ord("x") for byte in range(256))
_NESTING = {
    "yaml": (re.compile(rb"^(?:[ \t]|[-?:](?=[ \t])){200}", re.MULTILINE), 1),
    "kotlin": (re.compile(rb"\$\{"), 500),
}
"""Languages whose scanners end the process where too much is open: of what a text may hold less than so many."""

_CHUNK = 4096
_READS, _READS_A_CHUNK = 500, 150
"""How often tree-sitter may read on: a file takes up to fifty reads a chunk, one that is no code may take ever more."""


@dataclass(frozen=True)
class Grammar:
    """A language.

    containers: nodes any of whose children may go without breaking the syntax, as long as a child goes whole.
    lists: the same for children that commas separate; the last one stays. clauses: nodes that may go whole wherever
    they stand.
    """

    name: str
    comment: tuple[str, str]
    containers: frozenset[str]
    lists: frozenset[str] = frozenset()
    clauses: frozenset[str] = frozenset()

    def parse(self, source: bytes) -> Any:
        """Return tree-sitter's tree of a source in this language, whose bytes keep their places.

        Raises `SegmentationError` for what would end the process or take longer than any code does.
        """
        from tree_sitter_language_pack import get_parser

        if self.name in _ASCII_ONLY:
            source = source.translate(_AS_LETTERS)
        opening, most = _NESTING.get(self.name, (None, 0))
        if opening and sum(1 for _ in itertools.islice(opening.finditer(source), most)) == most:
            raise SegmentationError(f"nested too deep to be parsed as {self.name}")
        left = _READS + _READS_A_CHUNK * (len(source) // _CHUNK + 1)

        def read(offset: int, _: object) -> bytes:
            nonlocal left
            left -= 1
            return source[offset : offset + _CHUNK] if left >= 0 else b""

        tree = get_parser(self.name).parse(read)  # pyrefly: ignore[bad-argument-type]
        if left < 0:
            raise SegmentationError(f"takes too long to be parsed as {self.name}")
        return tree


def _make_grammar(name: str, comment: tuple[str, str], containers: str, lists: str = "", clauses: str = "") -> Grammar:
    """Make a grammar from the node types of each sort, separated by blanks."""
    return Grammar(name, comment, *(frozenset(types.split()) for types in (containers, lists, clauses)))


_SCRIPT = "program statement_block class_body switch_body switch_case switch_default jsx_element jsx_fragment"
_SCRIPT_LISTS = "array object named_imports export_clause arguments"
_C = (
    "translation_unit compound_statement declaration_list field_declaration_list case_statement preproc_if "
    "preproc_ifdef preproc_else preproc_elif"
)

GRAMMARS: dict[str, Grammar] = {
    grammar.name: grammar
    for grammar in (
        _make_grammar(
            "python",
            _HASH,
            "module block",
            "list dictionary set tuple argument_list",
            "elif_clause else_clause except_clause",
        ),
        _make_grammar("javascript", _SLASHES, _SCRIPT, _SCRIPT_LISTS),
        _make_grammar("typescript", _SLASHES, f"{_SCRIPT} interface_body object_type", f"{_SCRIPT_LISTS} enum_body"),
        _make_grammar("tsx", _SLASHES, f"{_SCRIPT} interface_body object_type", f"{_SCRIPT_LISTS} enum_body"),
        _make_grammar(
            "java",
            _SLASHES,
            "program class_body interface_body annotation_type_body enum_body_declarations block constructor_body "
            "switch_block switch_block_statement_group",
            "array_initializer argument_list",
        ),
        _make_grammar(
            "go",
            _SLASHES,
            "source_file block statement_list field_declaration_list interface_type import_spec_list const_declaration "
            "var_declaration var_spec_list type_declaration expression_switch_statement type_switch_statement "
            "select_statement expression_case type_case communication_case default_case",
            "literal_value argument_list",
        ),
        _make_grammar(
            "rust",
            _SLASHES,
            "source_file block declaration_list match_block",
            "field_declaration_list enum_variant_list array_expression use_list field_initializer_list arguments",
        ),
        _make_grammar("c", _SLASHES, _C, "initializer_list enumerator_list argument_list"),
        _make_grammar("cpp", _SLASHES, _C, "initializer_list enumerator_list argument_list"),
        _make_grammar(
            "csharp",
            _SLASHES,
            "compilation_unit declaration_list block switch_body switch_section",
            "initializer_expression enum_member_declaration_list",
        ),
        _make_grammar("ruby", _HASH, "program body_statement block_body then do", "array hash"),
        _make_grammar(
            "php",
            _SLASHES,
            "program compound_statement declaration_list switch_block enum_declaration_list case_statement",
            "array_creation_expression",
        ),
        _make_grammar("kotlin", _SLASHES, "source_file class_body statements block when_expression"),
        _make_grammar("swift", _SLASHES, "source_file class_body protocol_body statements switch_statement"),
        _make_grammar(
            "bash",
            _HASH,
            "program compound_statement do_group if_statement case_statement case_item elif_clause else_clause",
        ),
        _make_grammar("sql", _DASHES, "program"),
        _make_grammar("html", _MARKUP, "document element"),
        _make_grammar("css", _STARS, "stylesheet block"),
        _make_grammar("yaml", _HASH, "block_mapping block_sequence"),
        _make_grammar("toml", _HASH, "document table table_array_element", "array"),
    )
}

TRANSPARENT = frozenset(("statement_list", "statements", "stream", "document", "block_node"))
"""Nodes that only hold others in a row; where a container holds one, its children count as the container's own."""

DEFINITION = re.compile(
    r"(?:function|method|constructor|class|struct|interface|trait|impl|enum|mod|module|namespace|protocol|object|record"
    r"|union|type|extension|macro|init)(?:_\w+)?_(?:definition|declaration|item|specifier|signature|spec)$"
    r"|^(?:function_definition|method|singleton_method|class|module|impl_item|decorated_definition)$"
)
FUNCTION = re.compile(r"function|method|constructor|^init_declaration$")
IMPORT = re.compile(
    r"import|^use_declaration$|^using_directive$|^preproc_include$|^package_|^extern_crate|^namespace_use"
)
COMMENT = re.compile(r"comment")
TEXT = re.compile(
    r"^(?:block_comment|multiline_comment|comment|string|string_content|raw_string\w*|template_string|string_fragment|block_scalar)$"
)
"""Nodes whose inner lines are text, any of which may go."""
ATTACHED = re.compile(r"^(?:attribute_item|inner_attribute_item|attribute_list|annotation|decorator)$")
"""Nodes beside a definition that belong to it."""

_BY_EXTENSION = {
    **dict.fromkeys(("py", "pyi", "pyx", "pyw"), "python"),
    **dict.fromkeys(("js", "mjs", "cjs", "jsx"), "javascript"),
    **dict.fromkeys(("ts", "mts", "cts"), "typescript"),
    "tsx": "tsx",
    "java": "java",
    "go": "go",
    "rs": "rust",
    **dict.fromkeys(("c", "h"), "c"),
    **dict.fromkeys(("cc", "cpp", "cxx", "hpp", "hh", "hxx", "cu"), "cpp"),
    "cs": "csharp",
    **dict.fromkeys(("rb", "rake", "gemspec"), "ruby"),
    "php": "php",
    **dict.fromkeys(("kt", "kts"), "kotlin"),
    "swift": "swift",
    **dict.fromkeys(("sh", "bash", "zsh"), "bash"),
    "sql": "sql",
    **dict.fromkeys(("html", "htm", "xhtml", "vue", "svelte"), "html"),
    **dict.fromkeys(("css", "scss"), "css"),
    **dict.fromkeys(("yaml", "yml"), "yaml"),
    "toml": "toml",
}
_BY_NAME = {"Makefile": "", "Dockerfile": "", "Rakefile": "ruby", "Gemfile": "ruby"}
_ALIASES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "ts": "typescript",
    "golang": "go",
    "rs": "rust",
    "c++": "cpp",
    "cs": "csharp",
    "c#": "csharp",
    "rb": "ruby",
    "kt": "kotlin",
    "sh": "bash",
    "shell": "bash",
    "zsh": "bash",
    "yml": "yaml",
}


def find_language_of_file(name: str) -> str | None:
    """The language of a file by its name; None where the name says nothing we know."""
    path = PurePosixPath(name.replace("\\", "/"))
    return _BY_NAME.get(path.name) or _BY_EXTENSION.get(path.suffix.lower().lstrip("."))


def list_languages_of_file(name: str) -> tuple[str, ...]:
    """All languages that a file of this name may be in, the likeliest first."""
    language = find_language_of_file(name)
    if language is None:
        return ()
    return ("c", "cpp") if name.endswith(".h") else (language,)


def get_extension(language: str) -> str:
    """Return an extension of the language's files, without the dot."""
    return next(extension for extension, of in _BY_EXTENSION.items() if of == language)


def find_language_of_fence(word: str) -> str | None:
    """The language a fence or a shebang names; None where we don't know it."""
    word = word.strip().lower()
    word = _ALIASES.get(word, word)
    return word if word in GRAMMARS else _BY_EXTENSION.get(word)
