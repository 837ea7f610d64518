"""Long runs: does a stream ever hear of another, does anything grow, does overload harm anyone?"""
