"""The paper's experiments at a size that a small machine trains in minutes, on MNIST and on scikit-learn's digits."""
