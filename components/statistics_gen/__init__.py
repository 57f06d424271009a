"""StatisticsGen under its stock interface: TFDV's accumulators in this process for small splits, Beam for large."""
