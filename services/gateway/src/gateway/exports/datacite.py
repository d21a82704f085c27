"""What DataCite wants to know before it registers a DOI: the body of `POST /dois`, schema 4.5.

With a prefix of the operator's own the DOI is in it; without one DataCite keeps it as a draft of whoever sends it.
Registering is the operator's: nothing is sent from here.
"""

from typing import Any
from urllib.parse import quote

from gateway.exports.citation import Cited, CitedModel
from gateway.forms.licences import licence
from gateway.views.datasets import DatasetView
from gateway.views.models import ModelView

SCHEMA = "http://datacite.org/schema/kernel-4"
PUBLISHER = "Potluck"


def of_dataset(view: DatasetView, cited: Cited, site: str, prefix: str | None) -> dict[str, Any]:
    """Of a public dataset. `site`: scheme and host of this site."""
    known = licence(cited.licence)
    attributes = {
        "creators": [_creator(name, orcid) for name, orcid in cited.authors],
        "titles": [{"title": cited.name}],
        "publicationYear": str(cited.published.year),
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Labeled DFT frames"},
        "version": str(cited.version),
        "url": cited.url(site),
        "dates": [{"date": cited.published.isoformat(), "dateType": "Available"}],
        "rightsList": [
            {
                "rights": known.name,
                "rightsUri": known.text_url,
                "rightsIdentifier": known.id,
                "rightsIdentifierScheme": "SPDX",
                "schemeUri": "https://spdx.org/licenses/",
            }
        ],
    }
    if view.description.strip():
        attributes["descriptions"] = [{"description": view.description, "descriptionType": "Abstract"}]
    if view.ingest is not None:
        attributes["sizes"] = [f"{view.ingest.frames} frames"]
        attributes["subjects"] = [{"subject": symbol} for symbol in view.ingest.elements]
    return _body(attributes, prefix, f"potluck.dataset.{cited.dataset_id}.v{cited.version}")


def of_model(view: ModelView, site: str, prefix: str | None) -> dict[str, Any]:
    """Of a published version; private contributions are not among what it derives from."""
    cited = CitedModel.of(view)
    sources = [f"{site}{quote(one.url)}" for one in view.datasets if one.url is not None]
    related = [_related(url, "IsDerivedFrom") for url in sources]
    if view.parent is not None:
        related.append(_related(f"{site}/models/{view.parent}", "IsNewVersionOf"))
    attributes = {
        "creators": [_creator(name, None) for name in cited.authors],
        "titles": [{"title": cited.title}],
        "publicationYear": str(cited.published.year),
        "types": {"resourceTypeGeneral": "Model", "resourceType": "Interatomic potential (Deep Potential)"},
        "version": cited.version,
        "url": cited.url(site),
        "dates": [{"date": cited.published.isoformat(), "dateType": "Issued"}],
        "sizes": [f"{file.size} bytes" for file in view.files if file.kind == "checkpoint"],
        "relatedIdentifiers": related,
    }
    return _body(attributes, prefix, f"potluck.dpa.{view.version}")


def _body(attributes: dict[str, Any], prefix: str | None, suffix: str) -> dict[str, Any]:
    common = {"publisher": {"name": PUBLISHER}, "schemaVersion": SCHEMA}
    doi = {"doi": f"{prefix}/{suffix}", "prefix": prefix, "suffix": suffix} if prefix else {}
    return {"data": {"type": "dois", "attributes": attributes | common | doi}}


def _creator(name: str, orcid: str | None) -> dict[str, Any]:
    if orcid is None:
        return {"name": name}
    iri = f"https://orcid.org/{orcid}"
    scheme = {"nameIdentifierScheme": "ORCID", "schemeUri": "https://orcid.org"}
    return {"name": name, "nameType": "Personal", "nameIdentifiers": [{"nameIdentifier": iri} | scheme]}


def _related(url: str, relation: str) -> dict[str, str]:
    return {"relatedIdentifier": url, "relatedIdentifierType": "URL", "relationType": relation}
