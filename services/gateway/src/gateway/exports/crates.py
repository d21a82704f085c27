"""RO-Crate 1.1: a dataset or a version of the model as linked data (JSON-LD), with who made what from what.

A crate names files by their addresses on this site; what a reader may not see is not in it.
"""

import mimetypes
from collections.abc import Iterable
from typing import Any

from gateway.exports.citation import Cited, CitedModel
from gateway.forms.licences import licence
from gateway.views.datasets import DatasetView
from gateway.views.models import ModelView

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
FILE_NAME = "ro-crate-metadata.json"

Entity = dict[str, Any]


def of_dataset(view: DatasetView, cited: Cited, site: str) -> Entity:
    """Of a public dataset as this reader sees it. `site`: scheme and host of this site."""
    known = licence(cited.licence)
    people = [_person(name, orcid, f"#author-{place}") for place, (name, orcid) in enumerate(cited.authors, 1)]
    offered = (*((view.download,) if view.download else ()), *view.frame_files)
    files = [_file(f"{site}{one.url}", one.filename, one.size, one.sha256) for one in offered]
    root = _root(cited.name, view.description.strip() or f"DFT dataset {cited.name}", cited.published.isoformat())
    root |= {
        "identifier": cited.url(site),
        "url": cited.url(site),
        "version": str(cited.version),
        "license": _ref(known.text_url),
        "author": [_ref(one["@id"]) for one in people],
        "hasPart": [_ref(one["@id"]) for one in files],
    }
    described = [_property("format", view.ingest.format)] if view.ingest else []
    if view.ingest is not None:
        root["keywords"] = ", ".join(view.ingest.elements)
        described.append(_property("frames", view.ingest.frames))
        theory = view.ingest.level_of_theory
        said = theory.model_dump(exclude_none=True) if theory else {}
        described += [_property(name, str(value)) for name, value in said.items()]
    root["additionalProperty"] = [_ref(one["@id"]) for one in described]
    rights = {"@id": known.text_url, "@type": "CreativeWork", "name": known.name, "identifier": known.id}
    return _crate(root, [*people, rights, *_with_hashes(files), *described])


def of_model(view: ModelView, site: str) -> Entity:
    """Of a published version: files, public datasets it learned, the version before, and the training itself."""
    cited = CitedModel.of(view)
    people = [_person(name, None, f"#contributor-{place}") for place, name in enumerate(cited.authors, 1)]
    files = [_file(f"{site}{one.url}", one.name, one.size, one.sha256) for one in view.files]
    public = {f"{site}{one.url}": one.name for one in view.datasets if one.url is not None}
    sources: list[Entity] = [{"@id": url, "@type": "CreativeWork", "name": name} for url, name in public.items()]
    if view.parent is not None:
        before = {"@id": f"{site}/models/{view.parent}", "@type": "CreativeWork", "name": f"DPA {view.parent}"}
        sources.append(before)
    about = f"{cited.title}: a Deep Potential (DPA) model with {len(view.branches)} branches"
    root = _root(cited.title, about, cited.published.isoformat())
    programs = [
        {"@id": f"#program-{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        for name, version in sorted(view.versions.items())
    ]
    measures = [
        _property(f"{one.branch}: {name} RMSE on held-out frames", value, unit)
        for one in view.branches
        for name, value, unit in (
            ("energy", one.energy_rmse_mev_per_atom, "meV/atom"),
            ("force", one.force_rmse_mev_per_angstrom, "meV/Å"),
        )
    ]
    training: Entity = {
        "@id": "#training",
        "@type": "CreateAction",
        "name": f"Training of {cited.title} (preset {view.preset})",
        "endTime": view.published.isoformat(),
        "object": [_ref(one["@id"]) for one in sources],
        "result": [_ref(one["@id"]) for one in files],
        "instrument": [_ref(one["@id"]) for one in programs],
    }
    root |= {
        "identifier": cited.url(site),
        "url": cited.url(site),
        "version": view.version,
        "author": [_ref(one["@id"]) for one in people],
        "isBasedOn": [_ref(one["@id"]) for one in sources],
        "hasPart": [_ref(one["@id"]) for one in files],
        "mentions": _ref(training["@id"]),
        "additionalProperty": [_ref(one["@id"]) for one in measures],
    }
    return _crate(root, [*people, *sources, training, *programs, *_with_hashes(files), *measures])


def _crate(root: Entity, entities: Iterable[Entity]) -> Entity:
    descriptor = {
        "@id": FILE_NAME,
        "@type": "CreativeWork",
        "conformsTo": _ref(PROFILE),
        "about": _ref(root["@id"]),
    }
    graph: dict[str, Entity] = {}
    for one in (descriptor, root, *entities):
        graph.setdefault(one["@id"], one)
    return {"@context": CONTEXT, "@graph": list(graph.values())}


def _root(name: str, description: str, published: str) -> Entity:
    return {"@id": "./", "@type": "Dataset", "name": name, "description": description, "datePublished": published}


def _ref(identity: str) -> Entity:
    return {"@id": identity}


def _person(name: str, orcid: str | None, otherwise: str) -> Entity:
    return {"@id": f"https://orcid.org/{orcid}" if orcid else otherwise, "@type": "Person", "name": name}


def _file(url: str, name: str, size: int, sha256: str) -> Entity:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {
        "@id": url,
        "@type": "File",
        "name": name,
        "contentSize": str(size),
        "encodingFormat": kind,
        "identifier": _ref(f"#sha256-{sha256}"),
    }


def _with_hashes(files: Iterable[Entity]) -> Iterable[Entity]:
    """Each file, and its SHA-256 as an entity of its own: entities of a crate lie flat."""
    for one in files:
        identity = one["identifier"]["@id"]
        value = identity.removeprefix("#sha256-")
        yield one
        yield {"@id": identity, "@type": "PropertyValue", "propertyID": "sha256", "value": value}


def _property(name: str, value: str | float, unit: str | None = None) -> Entity:
    found: Entity = {"@id": f"#{name.replace(' ', '-')}", "@type": "PropertyValue", "name": name, "value": value}
    return found | ({"unitText": unit} if unit else {})
