"""How bytes arrive: tus, the spool on disk, the regions where archives lie."""
