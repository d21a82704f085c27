-- What the pinned baseline of a standard branch is made of: element -> eV per atom. Null in rows from before.
alter table standard_branches add column baseline_element_energies jsonb;
