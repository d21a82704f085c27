"""Templates of what registry and trainer says with values in it; `sentences` tells what the names in braces mean."""

from gateway.pages.phrases import N_

REGISTRY: tuple[str, ...] = (
    # growth of the model
    N_("Every new dataset was learned: held-out force error: {each}; {said_asked}."),
    N_("Not every new dataset was learned: held-out force error: {each}; {said_asked}."),
    N_("at least {value} % below {part} was asked"),
    N_("zero-shot"),
    N_("all forces zero"),
    N_("{branch} from {before} to {after} meV/Å"),
    N_("{branch} from {before} to {after} meV/Å ({change} %)"),
    N_("{branch} from {before} to {after} meV/Å ({change} %, likely {low} to {high})"),
    N_("{n} more"),
    N_("There was nothing to forget: this is the first model."),
    N_("The candidate forgot: held-out force error: {each}; {said_asked}."),
    N_("Nothing was forgotten: the old branch that fared worst is {said}; {said_asked}."),
    N_("at most {value} % more is allowed"),
    N_(
        "On {part}, over the branches that both have, the score went from {before} to {after} (0 is DFT); at "
        "most {limit}, {value} % more, is allowed."
    ),
    N_(
        "On {part}, over the branches that both have, the score went from {before} to {after} (0 is DFT, "
        "{change} %); at most {limit}, {value} % more, is allowed."
    ),
    N_(
        "On {part}, over the branches that both have, the score went from {before} to {after} (0 is DFT, "
        "{change} %, likely {low} to {high}); at most {limit}, {value} % more, is allowed."
    ),
    N_("On {part} the score is {value}; the first model must be better than {limit}, the composition-only baseline."),
    N_(
        "On {part} the score is {value} (likely {low} to {high}); the first model must be better than "
        "{limit}, the composition-only baseline."
    ),
    N_("held-out frames"),
    N_("the standard dataset"),
    N_("The trainer gave no usable numbers for {branches} ({part}), so this cannot be judged."),
    N_("new"),
    N_("old"),
    N_("old or new"),
    N_("The trainer tells of no check {rule}."),
    N_("The growth policy did not hold."),
    N_(
        "The model loads in a fresh process ({list}) and repeats the trainer's energies and forces on {n} "
        "branch; {m} of {total} checks hold."
    ),
    N_(
        "The model loads in a fresh process ({list}) and repeats the trainer's energies and forces on {n} "
        "branches; {m} of {total} checks hold."
    ),
    N_("The model does not pass a fresh process."),
    N_("This could not be looked at."),
    N_("Not asked: {list}, whose frames are too large for it."),
    N_("{said}: {each} on {part}."),
    N_("{said}: {each}."),
    N_("branch {branch}: {said}"),
    N_("branch {branch}"),
    N_("{n} branches"),
    N_("energy difference {value} {unit} ({bound} allowed)"),
    N_("force difference {value} {unit} ({bound} allowed)"),
    N_("energy drift {value} {unit} ({bound} allowed)"),
    N_("frozen energy difference {value} {unit} ({bound} allowed)"),
    N_("frozen force difference {value} {unit} ({bound} allowed)"),
    N_("derivative difference {value} {unit} ({bound} allowed)"),
    N_("The files repeat the trainer's energies and forces, as .pt and frozen"),
    N_("The files do not repeat the trainer's predictions"),
    N_("Forces are the derivative of the energy"),
    N_("Forces are not the derivative of the energy"),
    N_("The order of the atoms makes no difference"),
    N_("The order of the atoms makes a difference"),
    N_("A turned structure has the same energy and turned forces"),
    N_("A turned structure has another energy or other forces"),
    N_("A moved structure has the same energy and forces"),
    N_("A moved structure has another energy or other forces"),
    N_("A doubled cell has twice the energy and the same forces"),
    N_("A doubled cell does not have twice the energy and the same forces"),
    N_("A run of 200 steps at constant energy, from 100 K, keeps the total energy"),
    N_("A run of 200 steps at constant energy, from 100 K, loses or gains total energy"),
    # waiting and training again
    N_("The round was cancelled: {reason}. Your dataset waits for another one."),
    N_("Your dataset is trained again, with fewer others, to find what made an earlier round fail."),
    N_("Your dataset is trained again in another round."),
)
