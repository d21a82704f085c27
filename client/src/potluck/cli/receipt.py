"""`potluck receipt`: what a dataset did to the model, and whether the platform really said so."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from potluck.cli.options import AsJson, Server, connect
from potluck.cli.options import where as dataset_of
from potluck.cli.output import out, print_json
from potluck.errors import LocalFileError, PotluckError
from potluck.signing import SigningKey, key_from, verify_receipt


def receipt(
    dataset: Annotated[
        str | None, typer.Argument(help="Id of the dataset, or the address of its page.", metavar="DATASET")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--verify", help="Verify the receipts in this file instead of fetching them.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="Public key (base64) or file of keys that you trust; else the platform's are asked."
        ),
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write the fetched receipts to this file.")] = None,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a dataset's receipts and verify their signatures.

    With --verify and --key nothing is sent anywhere.
    """
    if (dataset is None) == (file is None):
        raise typer.BadParameter("give a dataset, or a file with --verify")
    documents, keys = _given(file, key, server) if file is not None else _fetched(str(dataset), key, server)
    if not documents:
        raise PotluckError(
            "there is no receipt yet",
            where=str(dataset or file),
            remedy="A dataset gets one when a round that trained on it has ended.",
        )
    signed = [verify_receipt(one, keys, str(file or dataset)) for one in documents]
    if save is not None:
        _save(save, documents)
    if as_json:
        print_json({"receipts": documents, "verified": True, "keys": [one.key_id for one in signed]})
        return
    for document, by in zip(documents, signed, strict=True):
        for line in lines(document["receipt"]):
            out.print(escape(line))
        out.print(f"  [green]✓[/] signed with key {escape(by.key_id)}, unchanged")


def lines(told: Mapping[str, Any]) -> list[str]:
    """A receipt as a person reads it."""
    version = told.get("model_version")
    became = f"DPA {version}" if version else f"withheld ({', '.join(told.get('failed_rules') or ['no rule named'])})"
    head = f"{told['issued']}  {became}, branch {told['branch']}, weight {100 * told['weight']:.3g} %"
    parts = [head, f"  its own held-out frames   {_change(told.get('own'))}"]
    if others := told.get("others"):
        parts.append(f"  {others['branches']} other branches          {_change(others)}")
    if standard := told.get("standard"):
        before = f"{standard['before']} → " if standard.get("before") is not None else ""
        parts.append(f"  standard score            {before}{standard['after']} (0 is DFT, 1 composition alone)")
    return parts


def _change(both: Mapping[str, Any] | None) -> str:
    if both is None:
        return "not told"
    told = []
    for name, unit in (("energy_rmse_mev_per_atom", "meV/atom"), ("force_rmse_mev_per_angstrom", "meV/Å")):
        before = f"{both['before'][name]:.4g} → " if both.get("before") else ""
        told.append(f"{before}{both['after'][name]:.4g} {unit}")
    return ", ".join(told)


def _fetched(dataset: str, key: str | None, server: str | None) -> tuple[list[dict[str, Any]], tuple[SigningKey, ...]]:
    identity, server = dataset_of(dataset, server)
    with connect(server) as client:
        found = client.receipts(identity)
        return found, key_from(key) if key else client.signing_keys()


def _given(file: Path, key: str | None, server: str | None) -> tuple[list[dict[str, Any]], tuple[SigningKey, ...]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LocalFileError(
            f"the receipt cannot be read: {error}", where=str(file), remedy="Save it again: potluck receipt ID --save."
        ) from error
    documents = content.get("receipts", [content]) if isinstance(content, dict) else content
    if not (isinstance(documents, list) and all(isinstance(one, dict) for one in documents)):
        raise LocalFileError("this file holds no receipts", where=str(file))
    if key:
        return documents, key_from(key)
    with connect(server) as client:
        return documents, client.signing_keys()


def _save(path: Path, documents: list[dict[str, Any]]) -> None:
    try:
        path.write_text(json.dumps({"receipts": documents}, ensure_ascii=False, indent=1), encoding="utf-8")
    except OSError as error:
        raise LocalFileError(f"cannot write there: {error.strerror}", where=str(path)) from error
