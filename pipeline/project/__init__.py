"""The project file: models, loading with errors a person can act on, comparison with the data."""

from pipeline.project.columns import check_columns
from pipeline.project.loading import LoadedProject, find, load
from pipeline.project.spec import Project

__all__ = ["LoadedProject", "Project", "check_columns", "find", "load"]
