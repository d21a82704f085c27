"""Amber: elements by number, not by atom type."""

from pathlib import Path

from outputs import GENERATORS
from read_outputs import Examples, edit, good, refused


def test_amber_tells_elements_by_number_not_by_atom_type(examples: Examples, tmp_path: Path) -> None:
    """GAFF's 'ca' and 'os' are carbon and oxygen, not calcium and osmium: the generator writes them."""
    GENERATORS["amber/md"].write(tmp_path, examples(1, 1))
    assert good(tmp_path, "amber/md")[0].symbols == ["O", "H", "H", "Si", "C"]
    edit(tmp_path / "run.parm7", "%FLAG ATOMIC_NUMBER", "%FLAG SOMETHING_ELSE")
    unfit = refused(tmp_path, "amber/md")
    assert (unfit.rule, "ATOMIC_NUMBER" in unfit.args[0]) == ("unknown-element", True)
