"""Many images into files, without HTTP."""
