"""Faults, one for every check: what a class is named after is the check that has to find it.

`FAULTS[kind][check]` is a class, or what else a target may be by mistake.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sound_components import (
    SoundArchitecture,
    SoundCodec,
    SoundCoder,
    SoundDataset,
    SoundDecoder,
    SoundFixedArchitecture,
    SoundFolderDataset,
    SoundPrior,
    SoundQuantizer,
    SoundTrainer,
    Turned,
)
from torch import Tensor, nn

from omega_core.coding.tables import FrozenTables, Step
from omega_core.contracts import Quantized
from omega_core.contracts.quantizer import Refinement
from omega_core.errors import CoderError, ComponentError

FAULTS: dict[str, dict[str, object]] = {
    kind: {} for kind in ("quantizer", "architecture", "prior", "coder", "dataset", "trainer", "codec")
}


def fault(check: str, kind: str = "quantizer"):
    def plant(target):
        FAULTS[kind][check] = target
        globals()[target.__qualname__] = target
        return target

    return plant


# of every kind: shown with quantizers


@fault("target_is_of_its_kind")
class NoQuantizer(nn.Module):
    """Derives from nothing of ours."""


@fault("can_be_made")
class NeverMade(SoundQuantizer):
    """reach: how far levels reach."""

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, reach: float = 1.0) -> None:
        raise ComponentError("it needs an odd number of channels.")


@fault("options_can_be_typed")
class Unannotated(SoundQuantizer):
    """reach: how far levels reach."""

    def __init__(self, *, latent_channels, channels, alphabet, reach=1.0):
        super().__init__(latent_channels=latent_channels, channels=channels, alphabet=alphabet)


@fault("options_are_described")
class Undescribed(SoundQuantizer):
    """Says nothing about its options."""


# torch modules


@fault("does_the_same_every_time")
class Dropping(SoundQuantizer):
    """reach: how far levels reach."""

    def symbols(self, latent: Tensor) -> Tensor:
        return (self.place(latent) + torch.rand_like(latent[:, :1]) - 0.5).round().long().clamp(0, self.alphabet - 1)


@fault("does_not_mix_samples")
class OverTheBatch(SoundQuantizer):
    """reach: how far levels reach."""

    def place(self, latent: Tensor) -> Tensor:
        return super().place(latent - latent.mean(dim=0))


@fault("stays_on_the_device")
class OnTheProcessor(SoundQuantizer):
    """reach: how far levels reach."""

    def mask(self, kept: Tensor | None, like: Tensor) -> Tensor:
        return torch.ones(len(like), self.channels, 1, 1) if kept is None else super().mask(kept, like)


@fault("works_on_another_device")
class LeftBehind(SoundQuantizer):
    """reach: how far levels reach."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.scale = torch.ones(sizes["channels"], 1, 1)  # neither parameter nor buffer: `.to` does not move it

    def place(self, latent: Tensor) -> Tensor:
        return super().place(latent) * self.scale


@fault("state_dict_holds_everything")
class Forgetful(SoundQuantizer):
    """reach: how far levels reach."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.offset = torch.randn(sizes["channels"], 1, 1)  # neither parameter nor buffer

    def place(self, latent: Tensor) -> Tensor:
        return (super().place(latent) + self.offset).clamp(0, self.alphabet - 1)


class Drifting(SoundQuantizer):
    """reach: how far levels reach."""

    shift = 0.0  # changes in training, in a number of Python

    def place(self, latent: Tensor) -> Tensor:
        if self.training:
            self.shift += 0.5
        return (super().place(latent) + self.shift).clamp(0, self.alphabet - 1)


class SharedDefault(SoundQuantizer):
    """reach: how far levels reach. seen: sizes so far."""

    def __init__(self, *, latent_channels, channels, alphabet, reach: float = 1.0, seen: Sequence[int] = []) -> None:
        super().__init__(latent_channels=latent_channels, channels=channels, alphabet=alphabet, reach=reach)


@fault("a_penalty_is_a_loss")
class PenaltyOfTheBatch(SoundQuantizer):
    """reach: how far levels reach."""

    def forward(self, latent, prior=None, kept=None):
        return replace(super().forward(latent, prior, kept), penalty=latent.square().mean())


class PenaltyWithoutGradient(SoundQuantizer):
    """reach: how far levels reach."""

    def forward(self, latent, prior=None, kept=None):
        return replace(super().forward(latent, prior, kept), penalty=latent.detach().square().mean(dim=(1, 2, 3)))


class PenaltyOfNoNumber(SoundQuantizer):
    """reach: how far levels reach."""

    def forward(self, latent, prior=None, kept=None):
        penalty = latent.sum(dim=(1, 2, 3)) * torch.nan
        return replace(super().forward(latent, prior, kept), penalty=penalty)


class Pair(SoundQuantizer):
    """reach: how far levels reach."""

    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        return made.latent, made.bits


@fault("can_be_made_without_memory")
class Calculating(SoundQuantizer):
    """reach: how far levels reach."""

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, reach: float = 1.0) -> None:
        super().__init__(latent_channels=latent_channels, channels=channels, alphabet=alphabet, reach=reach)
        if float(self.into.weight.abs().max()) == 0:
            raise ValueError("an unlucky start")


@fault("can_be_pickled")
class Locked(SoundQuantizer):
    """reach: how far levels reach."""

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, reach: float = 1.0) -> None:
        super().__init__(latent_channels=latent_channels, channels=channels, alphabet=alphabet, reach=reach)
        self.lock = threading.Lock()


# quantizers


@fault("has_the_sizes_asked_for")
class OneChannelMore(SoundQuantizer):
    """reach: how far levels reach."""

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, reach: float = 1.0) -> None:
        super().__init__(latent_channels=latent_channels, channels=channels + 1, alphabet=alphabet, reach=reach)


@fault("gives_the_shapes_of_the_contract")
class BitsOfTheBatch(SoundQuantizer):
    """reach: how far levels reach."""

    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        return Quantized(made.latent, made.bits.sum(), made.symbols)


@fault("keeps_the_type")
class SmallSymbols(SoundQuantizer):
    """reach: how far levels reach."""

    def symbols(self, latent):
        return super().symbols(latent).int()


@fault("symbols_are_in_the_alphabet")
class Unbounded(SoundQuantizer):
    """reach: how far levels reach."""

    def place(self, latent):
        return self.into(latent) + self.alphabet / 2


@fault("uses_its_symbols")
class Collapsed(SoundQuantizer):
    """reach: how far levels reach."""

    def place(self, latent):
        return super().place(latent) * 0.01


@fault("forward_has_the_symbols_of_coding")
class RoundsDown(SoundQuantizer):
    """reach: how far levels reach."""

    def symbols(self, latent):
        return self.place(latent).floor().long()


@fault("any_prefix_gives_the_latent_of_forward")
class MasksTheWrongEnd(SoundQuantizer):
    """reach: how far levels reach."""

    def mask(self, kept, like):
        return super().mask(kept, like).flip(1)


@fault("an_empty_prefix_gives_a_latent")
class NeedsAChannel(SoundQuantizer):
    """reach: how far levels reach."""

    def latent(self, symbols):
        if symbols.shape[1] == 0:
            raise IndexError("index 0 is out of bounds")
        return super().latent(symbols)


@fault("missing_symbols_end_a_prefix")
class MissingIsTheFirst(SoundQuantizer):
    """reach: how far levels reach."""

    def latent(self, symbols):
        return super().latent(symbols.clamp_min(0))


@fault("refinement_tells_levels")
class LevelsWithoutEnd(SoundQuantizer):
    """reach: how far levels reach."""

    def refinement(self):
        told = super().refinement()
        return Refinement(told.parents, told.levels + 31, told.sizes)


@fault("any_symbols_can_be_decoded")
class NoLastSymbol(SoundQuantizer):
    """reach: how far levels reach."""

    def latent(self, symbols):
        return super().latent(symbols) / (symbols.float().mean(dim=(1, 2, 3), keepdim=True) < self.alphabet - 1)


@fault("bits_are_code_lengths")
class Nats(SoundQuantizer):
    """reach: how far levels reach."""

    def rate(self, places, prior, kept=None):
        return super().rate(places, prior, kept) * 0.6931


@fault("bits_are_zero_without_a_prior")
class AlwaysCharges(SoundQuantizer):
    """reach: how far levels reach."""

    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        return Quantized(made.latent, made.bits + (prior is None), made.symbols)


@fault("latent_has_a_gradient")
class RoundsWithoutGradient(SoundQuantizer):
    """reach: how far levels reach."""

    def restored(self, level, mask):
        return super().restored(level.round(), mask)


@fault("bits_have_a_gradient")
class RateWithoutGradient(SoundQuantizer):
    """reach: how far levels reach."""

    def rate(self, places, prior, kept=None):
        return super().rate(places, prior, kept).detach()


@fault("every_parameter_is_trained")
class IdleParameter(SoundQuantizer):
    """reach: how far levels reach."""

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, reach: float = 1.0) -> None:
        super().__init__(latent_channels=latent_channels, channels=channels, alphabet=alphabet, reach=reach)
        self.idle = nn.Parameter(torch.zeros(3))


@fault("what_decodes_is_trained_by_the_latent")
class TextbookStraightThrough(SoundQuantizer):
    """The codebook has a gradient from the rate alone, as z + (code − z).detach() leaves it.

    reach: how far levels reach.
    """

    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        decoded = latent + (made.latent - latent).detach()
        return Quantized(decoded, made.bits + self.out.weight.sum() + self.out.bias.sum(), made.symbols)


@fault("smooth_parts_have_their_derivative")
class StraightThrough(SoundQuantizer):
    """reach: how far levels reach."""

    def level(self, latent):
        level = super().level(latent)
        return level + (level.detach() ** 2 - level.detach()) / self.alphabet


@fault("noise_follows_the_seeds")
class NoiseOfItsOwn(SoundQuantizer):
    """reach: how far levels reach."""

    def noise(self, like):
        return torch.rand_like(like) - 0.5


@fault("mixed_precision_keeps_the_rate")
class HalfTheBits(SoundQuantizer):
    """reach: how far levels reach."""

    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        return Quantized(made.latent, made.bits.to(latent.dtype), made.symbols)


@fault("fineness_rises_with_what_is_kept")
class CoarserWithMore(SoundQuantizer):
    """reach: how far levels reach."""

    def fineness(self, kept):
        return 1 - super().fineness(kept)


@fault("latents_in_a_cell_have_its_symbols")
class CellsOfOthers(SoundQuantizer):
    """reach: how far levels reach."""

    def cells(self, symbols):
        there = (symbols >= 0).any(1, keepdim=True).expand(-1, len(self.out.weight), -1, -1)
        return torch.where(there, 0.0, -torch.inf), torch.where(there, 1.0, torch.inf)


@fault("can_be_relaxed")
class RelaxesWithoutGradient(SoundQuantizer):
    """reach: how far levels reach."""

    def relaxed(self, latent, prior, kept, fineness):
        return super().relaxed(latent.detach(), prior, kept, fineness)


@fault("finer_quantization_errs_less_and_costs_more")
class DeafToFineness(SoundQuantizer):
    """reach: how far levels reach."""

    def relaxed(self, latent, prior, kept, fineness):
        return self(latent, prior, torch.full_like(kept, self.channels))


@fault("fitting_keeps_the_shape_of_its_state")
class LosesItsRelaxation(SoundQuantizer):
    """reach: how far levels reach."""

    def relax(self):
        self.relaxation = nn.Linear(2, 2)

    def fit(self):
        self.relaxation = None


@fault("selects_channels")
class SelectsBackwards(SoundQuantizer):
    """reach: how far levels reach."""

    def select_channels(self, order):
        super().select_channels(order[::-1])


class TwoFaults(PenaltyOfTheBatch):
    """Nothing is said about its option."""

    def select_channels(self, order):
        super().select_channels(order[::-1])


@fault("resets_dead_symbols")
class ResetsAnyhow(SoundQuantizer):
    """reach: how far levels reach."""

    def reset_dead_symbols(self, counts, seed):
        return super().reset_dead_symbols(counts, int.from_bytes(os.urandom(4)))


# architectures


@fault("names_its_sizes", "architecture")
class FourColors(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def __init__(self, *, latent_channels: int, colors: int = 3) -> None:
        super().__init__(latent_channels=latent_channels, colors=4)


@fault("analysis_gives_the_latent_size", "architecture")
class RoundsTheSizeDown(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def latent_size(self, height, width):
        return height // 4 + 1, width // 4 + 1

    def margins(self, height, width):
        from omega_core.contracts.architecture import Margins

        return Margins(0, -height % 4, 0, -width % 4)


@fault("synthesis_restores_the_size", "architecture")
class DoesNotCrop(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def synthesis(self, latent, height, width):
        return self.render(self.refine(latent))


@fault("refuses_other_sizes", "architecture")
class TakesAnySize(SoundFixedArchitecture):
    """One size, it says."""

    def latent_size(self, height, width):
        return 2, 2


@fault("keeps_the_type", "architecture")
class AlwaysFloat(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def render(self, features):
        return super().render(features).float()


@fault("passes_something_on", "architecture")
class Blank(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def render(self, features):
        return super().render(features * 0)


@fault("every_parameter_is_trained", "architecture")
class Detached(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def refine(self, latent, fineness=None):
        return super().refine(latent.detach())


@fault("gradients_are_derivatives", "architecture")
class RoundsPixels(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def render(self, features):
        image = super().render(features)
        return image + (image.detach() * 255).round() / 255 - image.detach()


@fault("works_in_mixed_precision", "architecture")
class Overflows(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def refine(self, latent, fineness=None):
        return super().refine(latent) + (1e30 if torch.is_autocast_enabled("cpu") else 0)


@fault("normalizes_to_the_same_shape", "architecture")
class Clips(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def normalize(self, image):
        return image.clamp(0.45, 0.55)


@fault("is_told_the_fineness", "architecture")
class DoesNotListen(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    def refine(self, latent, fineness=None):
        return super().refine(latent, None)


@fault("tiles_are_seamless", "architecture")
class LooksFurther(SoundArchitecture):
    """colors: 3 for RGB, 1 for gray."""

    refine_halo = 0


# priors


@fault("code_lengths_are_bits", "prior")
class NeverSeen(SoundPrior):
    """smoothing: a count that every symbol has."""

    def code_lengths(self, height, width):
        last = torch.arange(self.counts.shape[1]) == self.counts.shape[1] - 1
        return super().code_lengths(height, width).masked_fill(last, torch.inf)


@fault("probabilities_sum_to_one", "prior")
class InNats(SoundPrior):
    """smoothing: a count that every symbol has."""

    def code_lengths(self, height, width):
        return super().code_lengths(height, width) * 0.6931


@fault("frozen_tables_can_be_coded_with", "prior")
class FreezesZeros(SoundPrior):
    """smoothing: a count that every symbol has."""

    def freeze(self):
        frozen = super().freeze()
        frozen.cumulative[:, -2] = frozen.cumulative[:, -1]  # the last symbol has a count of 0
        return frozen


@fault("frozen_tables_are_the_code_lengths", "prior")
class FreezesOthers(SoundPrior):
    """smoothing: a count that every symbol has."""

    def freeze(self):
        return FrozenTables.from_probabilities(self.probabilities().detach().flip(1)[:, None].numpy())


@fault("conditional_tables_pay", "prior")
class LooksTheWrongWay(SoundPrior):
    """smoothing: a count that every symbol has."""

    conditional = True

    def freeze(self):
        return FrozenTables.from_probabilities(self.probabilities().detach().flip(1)[:, None].numpy())


@fault("channel_bits_are_of_the_symbols", "prior")
class BitsOfAllTogether(SoundPrior):
    """smoothing: a count that every symbol has."""

    def channel_bits(self, symbols):
        return super().channel_bits(symbols).mean(dim=1, keepdim=True).expand(-1, symbols.shape[1])


@fault("coding_order_is_of_all_symbols", "prior")
class CodesTwoAtOnce(SoundPrior):
    """smoothing: a count that every symbol has."""

    def coding_order(self, symbols):
        bits, places = super().coding_order(symbols)
        return bits, places // 2


class KnowsTheLast(SoundPrior):
    """smoothing: a count that every symbol has."""

    conditional = True

    def channel_bits(self, symbols):
        return super().channel_bits(symbols) * (1 + symbols[:, -1:].float().mean(dim=(2, 3)))


class _Short(FrozenTables):
    def steps(self, symbols):
        for step in super().steps(symbols):
            yield Step(step.indices[:-1], step.rows[:-1])


@fault("every_symbol_is_in_one_step", "prior")
class LeavesTheLast(SoundPrior):
    """smoothing: a count that every symbol has."""

    def freeze(self):
        frozen = super().freeze()
        return _Short(frozen.cumulative, frozen.rows)


class _Peeking(FrozenTables):
    def steps(self, symbols):
        for step in super().steps(symbols):
            yield Step(step.indices, (step.rows + symbols.reshape(-1)[step.indices]) % len(self.cumulative))


@fault("steps_follow_from_earlier_ones", "prior")
class LooksAhead(SoundPrior):
    """smoothing: a count that every symbol has."""

    def freeze(self):
        frozen = super().freeze()
        return _Peeking(frozen.cumulative, frozen.rows)


@fault("frozen_prior_survives_the_model_file", "prior")
class ThawsBackwards(SoundPrior):
    """smoothing: a count that every symbol has."""

    @classmethod
    def thaw(cls, arrays):
        return super().thaw({**arrays, "rows": arrays["rows"][::-1].copy()})


@fault("freezing_does_not_depend_on_the_machine", "prior")
class FreezesByThreads(SoundPrior):
    """smoothing: a count that every symbol has."""

    def freeze(self):
        weight = 0.01 * torch.get_num_threads()
        chances = (1 - weight) * self.probabilities() + weight / self.counts.shape[1]
        return FrozenTables.from_probabilities(chances.detach()[:, None].numpy())


@fault("observing_makes_what_is_frequent_cheap", "prior")
class LooksAway(SoundPrior):
    """smoothing: a count that every symbol has."""

    def observe(self, symbols, kept):
        super().observe(symbols[:0], kept[:0])


@fault("only_what_observes_changes_by_observing", "prior")
class ObservesInSecret(SoundPrior):
    """smoothing: a count that every symbol has."""

    observes = False


@fault("only_kept_channels_are_observed", "prior")
class CountsAll(SoundPrior):
    """smoothing: a count that every symbol has."""

    def observe(self, symbols, kept):
        super().observe(symbols, torch.full_like(kept, len(self.counts)))


@fault("recounting_forgets", "prior")
class Remembers(SoundPrior):
    """smoothing: a count that every symbol has."""

    def recount(self):
        self.counts.mul_(0.5)


@fault("likelihood_is_a_probability", "prior")
class AnotherLikelihood(SoundPrior):
    """smoothing: a count that every symbol has."""

    def likelihood(self, values):
        return super().likelihood(values + 1)


@fault("likelihood_has_its_derivative", "prior")
class StepByStep(SoundPrior):
    """smoothing: a count that every symbol has."""

    def likelihood(self, values):
        return super().likelihood(values + (values.round() - values).detach())


@fault("every_parameter_is_trained", "prior")
class IdlePrior(SoundPrior):
    """smoothing: a count that every symbol has."""

    def __init__(self, *, channels, alphabet, lowest=0, latent_size=None, smoothing: float = 1.0) -> None:
        super().__init__(
            channels=channels, alphabet=alphabet, lowest=lowest, latent_size=latent_size, smoothing=smoothing
        )
        self.idle = nn.Parameter(torch.zeros(3))


@fault("selects_channels", "prior")
class KeepsCounts(SoundPrior):
    """smoothing: a count that every symbol has."""

    def select_channels(self, order):
        super().select_channels(order)
        self.counts = self.counts.flip(0)


@fault("interval_bits_are_of_probabilities", "prior")
class DensityInNats(SoundPrior):
    """smoothing: a count that every symbol has."""

    def interval_bits(self, values, half_width, known, fineness):
        return super().interval_bits(values, half_width, known, fineness) * 0.6931


@fault("interval_bits_take_widths_of_each_place", "prior")
class OneWidthForAll(SoundPrior):
    """smoothing: a count that every symbol has."""

    def interval_bits(self, values, half_width, known, fineness):
        return super().interval_bits(values, half_width[:1, :, :1, :1], known, fineness)


@fault("interval_bits_can_be_decoded_in_an_order", "prior")
class KnowsTheFuture(SoundPrior):
    """smoothing: a count that every symbol has."""

    def interval_bits(self, values, half_width, known, fineness):
        return super().interval_bits(values - 0.5 * known.mean(1, keepdim=True), half_width, known, fineness)


@fault("relaxation_is_trained", "prior")
class FixedDensity(SoundPrior):
    """smoothing: a count that every symbol has."""

    def interval_bits(self, values, half_width, known, fineness):
        scale = self.relaxation.log_scale
        with torch.no_grad():
            scale.copy_(scale)
        frozen = scale.requires_grad_(False)
        bits = super().interval_bits(values, half_width, known, fineness)
        frozen.requires_grad_(True)
        return bits


# coders


class _FewerDecoder(SoundDecoder):
    def decode(self, tables):
        return np.minimum(super().decode(tables), 255)


@fault("is_lossless", "coder")
class OneByte(SoundCoder):
    """Loses what is above 255."""

    def decoder(self, data, *, complete=False):
        return _FewerDecoder(data)


@fault("the_first_bytes_determine_symbols", "coder")
class TooFewBytes(SoundCoder):
    """A byte less than the first symbols need."""

    def encode(self, symbols, tables, ends):
        data, lengths = super().encode(symbols, tables, ends)
        return data, [*(max(0, length - 1) for length in lengths[:-1]), lengths[-1]]


class _Guessing(SoundDecoder):
    def decode(self, tables):
        symbols = super().decode(tables)
        return np.pad(symbols, (0, min(1, tables.size - len(symbols))))


@fault("any_length_decodes_to_right_symbols", "coder")
class GuessesOne(SoundCoder):
    """One symbol more than the bytes have, if more were asked for."""

    def decoder(self, data, *, complete=False):
        return _Guessing(data)


@fault("starts_are_those_of_all_streams", "coder")
class KnowsWhatFollows(SoundCoder):
    """Takes a symbol to follow that may be another."""

    def encode_start(self, symbols, tables, ends):
        data, lengths = self.encode(symbols, tables, ends)
        return data + b"\0", lengths


@fault("lengths_rise_to_the_end", "coder")
class MoreThanItsLengths(SoundCoder):
    """Something after the last length."""

    def encode(self, symbols, tables, ends):
        data, lengths = super().encode(symbols, tables, ends)
        return data + b"\0", lengths


class _FromTheStart(SoundDecoder):
    def decode(self, tables):
        self.done = 0
        return super().decode(tables)


@fault("decodes_in_parts", "coder")
class StartsAgain(SoundCoder):
    """Forgets where it was."""

    def decoder(self, data, *, complete=False):
        return _FromTheStart(data)


class _ForgetsItsPlace(SoundDecoder):
    def extend(self, data):
        self.data, self.done = self.data + data, 0


@fault("a_stream_may_arrive_in_pieces", "coder")
class BeginsAgain(SoundCoder):
    """Goes on at the beginning of a stream that was extended."""

    def decoder(self, data, *, complete=False):
        return _ForgetsItsPlace(data)


@fault("takes_integers_of_any_type", "coder")
class ByTheType(SoundCoder):
    """The bytes that it is given."""

    def encode(self, symbols, tables, ends):
        data, lengths = super().encode(symbols, tables, ends)
        return (data, lengths) if symbols.dtype == np.int64 else (data + b"\0\0", lengths)


class _SmallDecoder(SoundDecoder):
    def decode(self, tables):
        return super().decode(tables).astype(np.int32)


@fault("gives_whole_numbers_back", "coder")
class SmallNumbers(SoundCoder):
    """int32."""

    def decoder(self, data, *, complete=False):
        return _SmallDecoder(data)


@fault("refuses_what_does_not_fit", "coder")
class TakesAnything(SoundCoder):
    """Does not look."""

    def encode(self, symbols, tables, ends):
        if tables.cumulative is None:
            raise CoderError("the toy coder needs probabilities.")
        return symbols.astype("<u2").tobytes(), [2 * end for end in ends]


@fault("tables_without_probabilities_are_named", "coder")
class NeedsTables(SoundCoder):
    """Takes for granted that there are probabilities."""

    def encode(self, symbols, tables, ends):
        return (super().encode(symbols, tables, ends)[0], [2 * end for end in ends]) if len(tables.cumulative) else None


class _Unnamed(SoundDecoder):
    def decode(self, tables):
        try:
            return super().decode(tables)
        except CoderError:
            raise IndexError("out of range") from None


@fault("damage_is_named", "coder")
class FailsAnyhow(SoundCoder):
    """An error of another type."""

    def decoder(self, data, *, complete=False):
        return _Unnamed(data)


@fault("bytes_are_the_same_in_every_process", "coder")
class ByTheProcess(SoundCoder):
    """Bytes that depend on the hash seed."""

    def encode(self, symbols, tables, ends):
        data, lengths = super().encode(symbols, tables, ends)
        return data + hash("salt").to_bytes(8, "little", signed=True), [*lengths[:-1], lengths[-1] + 8]


# datasets


@fault("has_pictures_of_both_kinds", "dataset")
class NothingToValidate(SoundDataset):
    """count: how many pictures there are to train on."""

    def __init__(self, *, data: Path | None, seed: int, count: int = 8) -> None:
        super().__init__(data=data, seed=seed, count=count)
        self.validation = Turned(self.train.pixels[:0])


@fault("pictures_are_bytes", "dataset")
class Floats(SoundDataset):
    """count: how many pictures there are to train on."""

    def __init__(self, *, data: Path | None, seed: int, count: int = 8) -> None:
        super().__init__(data=data, seed=seed, count=count)
        self.train.pixels = self.train.pixels / np.float32(255)


class _Narrower(Turned):
    def load(self, index, seed):
        return super().load(index, seed)[:, :, : 8 - index % 2]


@fault("pictures_to_train_on_can_be_stacked", "dataset")
class AllSizes(SoundDataset):
    """count: how many pictures there are to train on."""

    def __init__(self, *, data: Path | None, seed: int, count: int = 8) -> None:
        super().__init__(data=data, seed=seed, count=count)
        self.train = _Narrower(self.train.pixels)


class _Rolling(Turned):
    calls = 0

    def load(self, index, seed):
        self.calls += 1
        return np.roll(super().load(index, seed), self.calls, axis=1)


@fault("random_choices_follow_the_seed", "dataset")
class CountsItsCalls(SoundDataset):
    """count: how many pictures there are to train on."""

    def __init__(self, *, data: Path | None, seed: int, count: int = 8) -> None:
        super().__init__(data=data, seed=seed, count=count)
        self.train = _Rolling(self.train.pixels)


@fault("the_same_seed_makes_the_same", "dataset")
class GlobalRandom(SoundDataset):
    """count: how many pictures there are to train on."""

    def __init__(self, *, data: Path | None, seed: int, count: int = 8) -> None:
        super().__init__(data=data, seed=int.from_bytes(os.urandom(4)), count=count)


@fault("parts_do_not_overlap", "dataset")
class SeenBefore(SoundDataset):
    """count: how many pictures there are to train on."""

    def __init__(self, *, data: Path | None, seed: int, count: int = 8) -> None:
        super().__init__(data=data, seed=seed, count=count)
        self.validation = Turned(self.train.pixels[:2])


class _Open(Turned):
    def __init__(self, pixels):
        super().__init__(pixels)
        self.lock = threading.Lock()


@fault("survives_the_way_to_workers", "dataset")
class HoldsALock(SoundDataset):
    """count: how many pictures there are to train on."""

    def __init__(self, *, data: Path | None, seed: int, count: int = 8) -> None:
        super().__init__(data=data, seed=seed, count=count)
        self.train = _Open(self.train.pixels)


@fault("missing_pictures_are_named", "dataset")
class FailsWithoutAFolder(SoundFolderDataset):
    """count: how many pictures there are to train on."""

    def read(self, data):
        return np.load(data / "pixels.npy")


# trainers


@fault("leaves_a_model_in_the_folder", "trainer")
class ReturnsItsFolder(SoundTrainer):
    """rate: not used."""

    def train(self, folder, *, resume=False):
        super().train(folder)
        return folder


@fault("the_model_codes", "trainer")
class WritesSomething(SoundTrainer):
    """rate: not used."""

    def write(self, path, seed):
        path.write_bytes(b"a model")
        return path


@fault("follows_the_seed", "trainer")
class SeedOfItsOwn(SoundTrainer):
    """rate: not used."""

    def write(self, path, seed):
        return super().write(path, int.from_bytes(os.urandom(4)))


@fault("what_cannot_be_trained_is_named", "trainer")
class TriesAnyhow(SoundTrainer):
    """rate: not used."""

    def __init__(self, *, recipe, data: Path | None, rate: float = 1.0) -> None:
        self.recipe = recipe


# codecs


@fault("has_settings", "codec")
class SameSettings(SoundCodec):
    """step: how many levels are one."""

    settings = (1, 2, 2)


@fault("gives_pictures_of_the_same_shape", "codec")
class EvenSizes(SoundCodec):
    """step: how many levels are one."""

    def decode(self, data, colors):
        decoded = super().decode(data, colors)
        return decoded[:, : decoded.shape[1] // 2 * 2]


@fault("every_setting_works", "codec")
class NothingBetween(SoundCodec):
    """step: how many levels are one."""

    def encode(self, pixels, setting):
        return super().encode(pixels, {1: 1, 4: 4}[setting])


@fault("settings_change_the_size", "codec")
class OneSize(SoundCodec):
    """step: how many levels are one."""

    def encode(self, pixels, setting):
        return super().encode(pixels, 1)


@fault("decodes_the_picture", "codec")
class Negative(SoundCodec):
    """step: how many levels are one."""

    def decode(self, data, colors):
        return 255 - super().decode(data, colors)


@fault("another_instance_decodes", "codec")
class KeepsThePicture(SoundCodec):
    """step: how many levels are one."""

    def encode(self, pixels, setting):
        self.last = pixels
        return super().encode(pixels, setting)

    def decode(self, data, colors):
        return self.last


@fault("encodes_the_same_every_time", "codec")
class Counts(SoundCodec):
    """step: how many levels are one."""

    count = 0

    def encode(self, pixels, setting):
        self.count += 1
        return super().encode(pixels, setting) + bytes(self.count)


@fault("leaves_the_pixels_alone", "codec")
class InPlace(SoundCodec):
    """step: how many levels are one."""

    def encode(self, pixels, setting):
        pixels //= self.step * setting
        pixels *= self.step * setting
        return super().encode(pixels, setting)


@fault("describes_itself", "codec")
class TwoLines(SoundCodec):
    """step: how many levels are one."""

    def describe(self):
        return f"zlib\nstep {self.step}"
