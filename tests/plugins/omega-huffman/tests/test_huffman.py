import numpy as np

from omega_core.coding.tables import Tables, cumulative_counts
from omega_core.testing import CoderContract
from omega_huffman.coder import HuffmanCoder


class TestHuffman(CoderContract):
    name = "huffman"


def test_probabilities_that_are_powers_of_two_cost_their_information() -> None:
    tables = Tables(cumulative_counts(np.array([[0.5, 0.25, 0.125, 0.125]])), np.zeros(8, np.int64), 4)
    data, lengths = HuffmanCoder().encode(np.array([0, 0, 0, 0, 1, 1, 2, 3]), tables, [4, 8])
    assert (len(data), lengths) == (2, [1, 2])
    assert data == bytes([0b00001010, 0b11011100])
