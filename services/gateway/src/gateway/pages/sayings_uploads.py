"""Templates of what is said of an upload that cannot begin; `sentences` tells what the names mean."""

from gateway.pages.phrases import N_

UPLOADS: tuple[str, ...] = (
    N_("You have {n} uploads that are not published; {limit} are allowed."),
    N_("Publish or remove one of them first (My Uploads)."),
    N_(
        "The archive has {size}, and {room} of the {most} of your account are left: datasets take {datasets}, "
        "uploads that are not published {uploads}."
    ),
    N_(
        "Discard uploads that you do not need (My Uploads), compress the archive, or ask whoever runs this site for "
        "more room."
    ),
)
