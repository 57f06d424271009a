"""The project file: models, loading with errors a person can act on, comparison with the data."""

from pipeline.project.spec import Project

__all__ = ["Project"]
