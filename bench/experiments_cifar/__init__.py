"""The paper's tables on CIFAR-10: many small models trained in the background, then measured, then tabulated.

A package beside bench.experiments, whose experiments each train and measure in one go: here hours of training outlive any one
process, so that models and measurements are files of a cache folder, and the tables are made of whatever is there.
"""
