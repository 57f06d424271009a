"""ExampleGen: explicit files and time ranges a split, through Arrow and C++ into tf.Examples."""
