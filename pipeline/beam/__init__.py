"""Where Beam runs: the project file's table `[beam]`, the command line's word on it, a job server if one is needed."""
