//! Structure rules of the house, as tests.
