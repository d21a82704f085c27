"""The runner of docs' snippets fails where a page is wrong."""

import os
from pathlib import Path

import pytest
from snippets import SnippetFailed, run_page, snippets_of

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
    ],
)
def test_a_wrong_page_fails(tmp_path: Path, text: str) -> None:
    with pytest.raises(SnippetFailed, match=r"page\.md, line 2"):
        run_page(page(tmp_path, text), tmp_path, os.environ)
