"""Files that hold a model, read strictly."""
