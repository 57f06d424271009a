"""TensorFlow Transform's analyzer operations on lists, in place of its Beam transforms on PCollections.

One function an operation: (operation, inputs as lists) -> outputs as lists. Combiners are TensorFlow Transform's own,
driven as Beam's CombineFn would drive them. What is not here, or has an option that is not done here, is named by
`unsupported` before anything runs. All of this is private to the library: see `analysis.SUPPORTED_VERSIONS`.
"""

from __future__ import annotations

import collections
import heapq
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers, nodes
from tensorflow_transform.beam import analyzer_impls, beam_nodes

Collection = list[Any]
Outputs = tuple[Collection, ...]
_FREQUENCY = analyzers._VocabOrderingType.FREQUENCY


class Runner(nodes.Visitor):
    """Visitor for `nodes.Traverser`: runs the operations; reading and applying graphs is up to `own`.

    Args:
      own: operation type -> function, for operations that need more than their inputs.
      directory: where vocabulary files go.
    """

    def __init__(self, own: dict[type, Callable[..., Outputs]], directory: str) -> None:
        write = {analyzer_nodes.VocabularyOrderAndWrite: lambda op, *inputs: _write_vocabulary(op, directory, *inputs)}
        self._run: dict[type, Callable[..., Outputs]] = {**_OPERATIONS, **write, **own}

    def visit(self, operation_def: nodes.OperationDef, input_values: Sequence[Collection]) -> Outputs:
        """Run one operation; what its inputs came to is given."""
        return self._run[type(operation_def)](operation_def, *input_values)

    def validate_value(self, value: Collection) -> None:
        """A PCollection is a list here."""
        if not isinstance(value, list):
            raise TypeError(f"operations answer with lists, not {type(value).__name__}")


def unsupported(result: nodes.ValueNode, own: Sequence[type]) -> str | None:
    """The first operation that leads to `result` and cannot run here, as a phrase; None if all can."""
    inspector = _Inspector({*_OPERATIONS, analyzer_nodes.VocabularyOrderAndWrite, *own})
    nodes.Traverser(inspector).visit_value_node(result)
    return inspector.reasons[0] if inspector.reasons else None


class _Inspector(nodes.Visitor):
    def __init__(self, known: set[type]) -> None:
        self._known = known
        self.reasons: list[str] = []

    def visit(self, operation_def: nodes.OperationDef, input_values: Sequence[bool]) -> tuple[bool, ...]:
        name = type(operation_def).__name__
        if type(operation_def) not in self._known:
            self.reasons.append(f"{name} has no in-process form")
        elif getattr(operation_def, "vocab_ordering_type", _FREQUENCY) != _FREQUENCY:
            self.reasons.append(f"{name} weighs its values")
        elif getattr(operation_def, "key_fn", None) is not None:
            self.reasons.append(f"{name} has a key function")
        elif getattr(operation_def, "file_format", "text") != "text":
            self.reasons.append(f"{name} writes {operation_def.file_format}")
        elif getattr(operation_def, "fingerprint_shuffle", False):
            self.reasons.append(f"{name} shuffles by fingerprint")
        return (True,) * operation_def.num_outputs

    def validate_value(self, value: bool) -> None:
        pass


def _extract_from_dict(operation: Any, rows: Collection) -> Outputs:
    keys = operation.keys
    return ([tuple(row[key] for key in keys) if isinstance(keys, tuple) else row[keys] for row in rows],)


def _flatten(operation: Any, *collections_: Collection) -> Outputs:
    return ([item for collection in collections_ for item in collection],)


def _add_key(operation: Any, items: Collection) -> Outputs:
    return ([(operation.key, item) for item in items],)


def _accumulate(operation: Any, batches: Collection) -> Outputs:
    return ([_accumulated(operation.combiner, batches)],)


def _accumulate_packed(operation: Any, batches: Collection) -> Outputs:
    found = {}
    for packed in operation.combiners:
        inputs = [tuple(batch[key] for key in packed.keys) for batch in batches]
        found[packed.label] = _accumulated(packed.combiner, inputs)
    return ([found],)


def _accumulated(combiner: analyzer_nodes.Combiner, batches: Collection) -> Any:
    accumulator = combiner.create_accumulator()
    for batch in batches:
        accumulator = combiner.add_input(accumulator, batch)
    return combiner.compact(accumulator)


def _merge(operation: Any, accumulators: Collection) -> Outputs:
    return ([_merged(operation.combiner, accumulators)],)


def _merge_packed(operation: Any, keyed: Collection) -> Outputs:
    by_key = collections.defaultdict(list)
    for key, accumulator in keyed:
        by_key[key].append(accumulator)
    return ([{packed.label: _merged(packed.combiner, by_key[packed.keys[0]]) for packed in operation.combiners}],)


def _merged(combiner: analyzer_nodes.Combiner, accumulators: Collection) -> Any:
    return combiner.extract_output(combiner.merge_accumulators([combiner.create_accumulator(), *accumulators]))


def _extract_outputs(operation: Any, results: Collection) -> Outputs:
    (outputs,) = results
    if len(outputs) != operation.num_outputs:
        raise ValueError(f"{operation.label}: {len(outputs)} outputs, {operation.num_outputs} were expected")
    return tuple([output] for output in outputs)


def _count_values(operation: Any, batches: Collection) -> Outputs:
    counts: collections.Counter[Any] = collections.Counter()
    for (values,) in batches:
        counts.update(values.tolist())
    return (list(counts.items()),)


def _merge_counts(operation: Any, counted: Collection) -> Outputs:
    totals: collections.Counter[Any] = collections.Counter()
    for value, count in counted:
        totals[value] += count
    return ([(count, value) for value, count in totals.items()],)


def _vocabulary_size(operation: Any, counted: Collection) -> Outputs:
    return ([np.int64(max(len(counted), 1))],)


def _prune(operation: Any, counted: Collection) -> Outputs:
    """Threshold, then the largest `top_k`; equal counts in reverse order of value, as tuples compare."""
    kept = [(count, value) for count, value in counted if count >= operation.frequency_threshold]
    if operation.input_dtype != tf.string.name:
        kept = [(count, str(value).encode()) for count, value in kept]
    if operation.top_k is not None:
        kept = heapq.nlargest(operation.top_k, kept)
        kept = analyzer_impls.maybe_add_empty_vocabulary_dummy(kept, operation.input_dtype)
    return (kept,)


def _write_vocabulary(operation: Any, directory: str, counted: Collection) -> Outputs:
    if not operation.input_is_sorted:
        counted = sorted(counted, reverse=True)
        counted = analyzer_impls.maybe_add_empty_vocabulary_dummy(counted, operation.input_dtype)
    path = os.path.join(directory, operation.vocab_filename)
    with open(path, "wb") as stream:
        for count, value in counted:
            stream.write(b"%d %s\n" % (count, value) if operation.store_frequency else b"%s\n" % value)
    return ([np.array(path)],)


_OPERATIONS: dict[type, Callable[..., Outputs]] = {
    beam_nodes.ExtractFromDict: _extract_from_dict,
    beam_nodes.Flatten: _flatten,
    analyzer_nodes.AddKey: _add_key,
    analyzer_nodes.CacheableCombineAccumulate: _accumulate,
    analyzer_nodes.PackedCombineAccumulate: _accumulate_packed,
    analyzer_nodes.CacheableCombineMerge: _merge,
    analyzer_nodes.PackedCombineMerge: _merge_packed,
    analyzer_nodes.ExtractCombineMergeOutputs: _extract_outputs,
    analyzer_nodes.ExtractPackedCombineMergeOutputs: _extract_outputs,
    analyzer_nodes.VocabularyAccumulate: _count_values,
    analyzer_nodes.VocabularyMerge: _merge_counts,
    analyzer_nodes.VocabularyCount: _vocabulary_size,
    analyzer_nodes.VocabularyPrune: _prune,
}
