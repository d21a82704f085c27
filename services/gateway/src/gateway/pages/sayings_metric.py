"""Templates of what the metric says with values in it; `sentences` tells what the names in braces mean."""

from gateway.pages.phrases import N_

METRIC: tuple[str, ...] = (
    # the metric's verdict
    N_("Every frame passes; up to {part} may fail a check."),
    N_("{n} frame(s) of {total} set aside; up to {part} may fail a check."),
    N_(
        "{n} frame(s) of {total} ({part}) fail a check, and at most {part_limit} may: {each}. What to do: "
        "{each_remedy}."
    ),
    N_("{n} frame(s) by {part}"),
    N_("recompute or leave out structures that are far from any that occur, and check the force unit"),
    N_("leave out structures whose atoms overlap, and check the length unit and the cell"),
    N_(
        "converge the forces more tightly (denser grid, higher cutoff, stricter SCF), and upload the forces "
        "of all atoms"
    ),
    N_("leave out calculations that did not converge or ended in another electronic state"),
    N_("check how the virial was read, or upload without it"),
    N_("run the calculations on until the self-consistency converges, or leave them out"),
    N_("Correct this and upload it again; nothing else has to change."),
    N_("Correct this too, and upload it again."),
    N_("Not judged: no frame was left that the model could be held against."),
    N_("Not judged: what these labels say about coverage is not to be trusted."),
    N_("There is no model yet, so nothing is known: this data helps to train the first one."),
    N_("The model can learn from this: {said}; below {part} counts as new."),
    N_("The model knows this already: {said}; from {part} on, data counts as covered. What would pass: {said_pass}."),
    N_(
        "DPA {version}, branch {branch}, predicts {n} of {total} frame(s) ({part}) as well as the data it "
        "was trained on (no force off by more than {limit} eV/Å)"
    ),
    N_(
        "DPA {version}, branch {branch}, covers {n} of {total} frame(s) ({part}): a frame is covered when it "
        "has no force off by more than {limit} eV/Å and no element that is new to the model; {said}"
    ),
    N_(
        "DPA {version}, branch {branch}, covers {n} of {total} frame(s) ({part}): a frame is covered when it "
        "has no force off by more than {limit} eV/Å, or when it is in a dataset that trained the model; "
        "{said}"
    ),
    N_(
        "DPA {version}, branch {branch}, covers {n} of {total} frame(s) ({part}): a frame is covered when it "
        "has no force off by more than {limit} eV/Å and no element that is new to the model, or when it is "
        "in a dataset that trained the model; {said}"
    ),
    N_("all of these hold {list}, which is new"),
    N_("all of these hold {list}, which are new"),
    N_("{n} of these hold {list}, which is new"),
    N_("{n} of these hold {list}, which are new"),
    N_("datasets that trained it hold {n} of these frames"),
    N_("{said}, and {said_too}"),
    N_(
        "structures that lie farther from that branch, such as other phases, compositions, elements, "
        "surfaces, defects, pressures or higher temperatures"
    ),
    N_("more like the {n} frame(s) here that it does not know ({said}), or {said_others}"),
    N_("a force off by more than {limit} eV/Å"),
    N_("with {list}, new to the model"),
    N_("{n} of them with {list}; in the others {said}"),
    N_("under {n} %"),
    N_("over {n} %"),
    # the rules that need no model
    N_("force-cap"),
    N_("min-distance"),
    N_("net-force"),
    N_("energy-outlier"),
    N_("virial-symmetry"),
    N_("scf-converged"),
    N_("All {n} frame(s) kept"),
    N_("All {n} frame(s) kept, {m} frame(s) with a warning"),
    N_("{n} frame(s) of {total} ({part}) set aside"),
    N_("{n} frame(s) of {total} ({part}) set aside, {m} frame(s) with a warning"),
    N_("the largest force is {value} eV/Å, the limit {limit} eV/Å"),
    N_("the closest atoms are {value} of the sum of their covalent radii apart, the limit is {limit}"),
    N_("no two atoms are closer than {value} of the sum of their covalent radii, the limit is {limit}"),
    N_("the largest net force is {value} meV/Å per atom, the limit {limit} meV/Å"),
    N_("energies leave the fit on composition by at most {value} eV/atom, the limit is {limit} eV/atom"),
    N_(
        "energies leave the fit on composition by at most {value} eV/atom, the limit is {limit} eV/atom "
        "beyond what strong forces explain"
    ),
    N_("virials differ from their transposes by at most {value} of their size, the limit {limit}"),
    N_("{n} frame(s) of {total} ({part}) set aside: the self-consistency did not converge"),
    N_("unknown: no file tells whether the self-consistency converged"),
    N_("unknown for {n} frame(s) of {total}, whose files do not tell"),
    N_("{n} frame(s) of {total} converged, as their files say"),
    N_("no duplicates inside"),
    N_("{n} duplicate(s) inside the dataset dropped"),
    N_("no frame is in another dataset of the platform"),
    N_("{n} frame(s) of {total} ({part}) also in other datasets of the platform"),
    N_("{n} frame(s) of {total} ({part}) also in other datasets of the platform: {each}"),
    N_("{n} in “{title}”"),
    N_("more in {n} others"),
    N_(
        "{n} frame(s) that another dataset holds out to test the model: held out here too, so that the model "
        "never trains on them."
    ),
    N_("No training frame is among those that other datasets hold out to test the model."),
    N_("{path}: the force on atom {n} ({element}) is {value} eV/Å, above {limit} eV/Å."),
    N_("{path}: the cell's volume is {value} Å³; the cell must span space."),
    N_(
        "{path}: {part} are {value} Å apart, {ratio} of the sum of their covalent radii; less than {limit} "
        "is too close."
    ),
    N_("{one} and its own periodic image"),
    N_("{path}: the forces do not cancel; their sum is {value} meV/Å per atom, above {limit} meV/Å."),
    N_("{path}: the virial is not symmetric; it differs from its transpose by {value} of its size."),
    N_("{path}: its file says that the self-consistency did not converge, so its labels are not to be trusted."),
    N_("{path}: another dataset of the platform holds the same structure; it teaches little that is new."),
    N_("{path}: the energy is {value} eV/atom above what its composition explains; the limit is {limit} eV/atom."),
    N_("{path}: the energy is {value} eV/atom below what its composition explains; the limit is {limit} eV/atom."),
    N_("{path}: the energy is {value} eV/atom above what its composition explains, {z} robust standard deviations."),
    N_("{path}: the energy is {value} eV/atom below what its composition explains, {z} robust standard deviations."),
    # labels held against each other and against the model
    N_(
        "All bonds are too short: {said}, as when Å are multiplied by 0.529 (bohr to Å) once too often. "
        "Check how positions and cells were converted."
    ),
    N_(
        "Nothing is bonded: {said}, as when bohr are taken for Å, which makes lengths 1.89 times too long. "
        "Convert positions and cells to Å."
    ),
    N_("Lengths are those of matter: {said}."),
    N_("the closest two atoms of a frame are typically {value} of the sum of their covalent radii apart"),
    N_(
        "Energies and forces belong together: between {n} pair(s) of nearly equal frames the energy changes "
        "by {value} times the work of the forces; {part} of the pairs agree."
    ),
    N_(
        "The energies come from two references: between {n} pair(s) of nearly equal frames, {part} differ by "
        "{value} eV more than their forces explain, all by the same amount. Give all frames the same "
        "settings and the same zero of energy, or upload the parts as two datasets."
    ),
    N_(
        "Energies and forces do not belong together: between {n} pair(s) of nearly equal frames, only {part} "
        "differ in energy by what their forces say, and at least {part_limit} should. It looks as if labels "
        "of frames or atoms had been shuffled, or came from another calculation."
    ),
    N_(
        "The energies do not change where the forces say that they must, between {n} pair(s) of nearly equal "
        "frames: were they read?"
    ),
    N_(
        "Energies and forces have opposite signs: {said}. Either the forces are the energy's gradient, or "
        "the sign of the energy is turned."
    ),
    N_("Energies and forces have units that do not fit together: {said}, so it looks like {said_cause}."),
    N_("Energies and forces have units that do not fit together: {said}, so their units do not match."),
    N_("The sign of one of them is turned too."),
    N_("between {n} pair(s) of nearly equal frames the energy changes by {value} times the work of the forces"),
    N_("{said}, or {said_too}"),
    N_("energies in hartree beside forces in eV/Å"),
    N_("energies in rydberg beside forces in eV/Å"),
    N_("forces in hartree/Å or rydberg/bohr beside energies in eV"),
    N_("forces in hartree/bohr beside energies in eV"),
    N_("forces per bohr that were taken for forces per Å, or positions that were converted from bohr twice"),
    N_("positions in bohr that were taken for Å, or forces that were converted from per bohr twice"),
    N_("energies per atom where those of the whole structure are meant"),
    N_(
        "All forces are zero, yet where atoms move between nearly equal frames the energy changes by {value} "
        "meV/atom: the forces were not computed, or not read."
    ),
    N_("The sign of the virials is right as far as energies tell, between {n} pair(s) of nearly equal frames."),
    N_(
        "The virials have the wrong sign (a virial is −volume × stress): between {n} pair(s) of nearly equal "
        "frames the energies change as virials of the other sign say. Without virials the dataset would do "
        "as well."
    ),
    N_(
        "All forces are zero, where branch {branch} expects {value} eV/Å (root mean square): they were not "
        "computed, or not read."
    ),
    N_(
        "Reported against predicted forces (branch {branch}): slope {slope}, correlation {correlation}; "
        "nothing points to a wrong sign or unit."
    ),
    N_(
        "Reported against predicted forces (branch {branch}): slope {slope}, correlation {correlation}, on "
        "the elements that it knows. It has never met {list}, and what it makes of forces beside such atoms "
        "may be of any sign and size: this says nothing of sign or unit."
    ),
    N_("The forces have another unit: {said} ({said_branch})."),
    N_("Their sign is turned too."),
    N_("they look like hartree/Å or rydberg/bohr that were taken for eV/Å"),
    N_("they look like hartree/bohr that were taken for eV/Å"),
    N_("they look as if eV/Å had been multiplied by 27.2 (hartree to eV) once too often"),
    N_("they look as if eV/Å had been multiplied by 51.4 (hartree/bohr) once too often"),
    N_("branch {branch}; slope {slope}, correlation {correlation}"),
    N_(
        "The forces point the wrong way: their sign is turned, as when the energy's gradient is given for "
        "the force ({said})."
    ),
    N_(
        "The forces look unrelated to the structures, as when atoms or frames were shuffled: branch {branch} "
        "predicts the energies well, but the correlation of its forces with these is {value}, and {limit} is "
        "the least to be expected."
    ),
    N_("Reported against predicted energies ({said}): nothing points to a wrong sign or unit."),
    N_("Reported against predicted virials ({said}): nothing points to a wrong sign or unit."),
    N_("The energies have another unit: they look like {said} ({said_branch})."),
    N_("The energies have another unit: they do not match the forces, which agree ({said})."),
    N_("hartree that were taken for eV"),
    N_("rydberg that were taken for eV"),
    N_("eV that were multiplied by 27.2 (hartree to eV) once too often"),
    N_("The sign of the energies is turned: they rise where they should fall ({said})."),
    N_("The virials have the wrong sign (a virial is −volume × stress): {said}."),
    N_("Without virials the dataset would do as well."),
    N_("The virials are not in eV: {said} ({said_branch})."),
    N_("their unit is another"),
    N_("they look like stresses in {unit}"),
    N_("they look like virials in {unit}"),
    # repetitions of a run
    N_("{said} and the same {n} number(s)."),
    N_("{said}; all {n} number(s) are the same."),
    N_("{said}; {m} of {n} number(s) differ, by up to {value} %: {list}."),
    N_("The same verdict"),
    N_("The verdict was “{part}” and is now “{part_now}”"),
    N_("The same verdict on the dataset, another one on {n} frame(s)"),
    N_("Also another: {list}."),
    N_("Changed since: {list}."),
    N_("passed"),
    N_("covered"),
    N_("not-sound"),
)
