"""The runner of docs' snippets fails where a page is wrong."""

import os
from pathlib import Path

import pytest
from snippets import Reader, SnippetFailed, run_page, snippets_of

PAGE = """
# A page
```sh
echo 'hello there'
echo 42 > number
```
```output
hello …
```
```sh no-run
exit 1
```
```text
nothing
```
```python
print(open("number").read())
```
"""


def page(folder: Path, text: str) -> Path:
    file = folder / "page.md"
    file.write_text(text)
    return file


def test_snippets_run_in_one_folder_in_their_order(tmp_path: Path) -> None:
    assert [(one.language, one.line) for one in snippets_of(PAGE)] == [("sh", 4), ("python", 17)]
    assert run_page(page(tmp_path, PAGE), tmp_path, os.environ) == 2


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nexit 3\n```\n",
        "```python\nraise ValueError\n```\n",
        "```sh\necho a\n```\n```output\nb\n```\n",
        "```sh\nfalse\ntrue\n```\n",
        "```sh\nfalse | cat\n```\n",
        "```sh\necho $NOT_SET\n```\n",
    ],
)
def test_a_wrong_page_fails(tmp_path: Path, text: str) -> None:
    with pytest.raises(SnippetFailed, match=r"page\.md, line 2"):
        run_page(page(tmp_path, text), tmp_path, os.environ)


def test_what_a_shell_block_sets_is_there_in_the_next(tmp_path: Path) -> None:
    text = "```sh\nNAME='two words'\n```\n```sh\necho $NAME\n```\n```output\ntwo words\n```\n"
    more = "```python\nimport os\nprint(os.environ['NAME'])\n```\n```output\ntwo words\n```\n"
    assert run_page(page(tmp_path, text + more), tmp_path, os.environ) == 3


def test_what_is_said_on_standard_error_is_heard_as_it_comes(tmp_path: Path) -> None:
    """The block waits for what its listener does."""
    heard: list[str] = []

    def hears(line: str) -> None:
        heard.append(line)
        (tmp_path / "done").touch()

    (one,) = snippets_of("```sh\necho 'do it' >&2\nuntil test -e done; do sleep 0.01; done\necho ended\n```\n")
    assert Reader(tmp_path, os.environ, hears=hears).does(one) == "ended\n"
    assert heard == ["do it\n"]
