"""The rival's module file: preprocessing_fn and run_fn as in TFX's `taxi_utils_native_keras.py`.

The features are those of the project file, through the very same TensorFlow Transform calls; the model is the same wide
and deep network, written with Keras layers and trained by `fit` on the data accessor's tf.data, as the example does.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
import tensorflow_transform as tft
from absl import logging
from tfx import v1 as tfx
from tfx_bsl.public import tfxio

from pipeline import preprocessing
from pipeline.project.spec import Features

EMBEDDING = 4


def preprocessing_fn(inputs, custom_config):
    return preprocessing.preprocessing_fn(inputs, custom_config)


def _input_fn(file_pattern, data_accessor, tf_transform_output, label, batch_size):
    return data_accessor.tf_dataset_factory(
        file_pattern,
        tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=label),
        tf_transform_output.transformed_metadata.schema,
    ).repeat()


def _build_keras_model(features, hidden_units, dropout, learning_rate):
    found = preprocessing.transformed_features(features)
    inputs = {
        f.name: tf.keras.layers.Input(name=f.name, shape=(1,), dtype="int64" if f.kind == "id" else tf.float32)
        for f in found
    }
    dense = tf.keras.layers.concatenate([inputs[f.name] for f in found if f.kind != "id"])
    ids = [f for f in found if f.kind == "id"]
    wide = [tf.keras.layers.Dense(1)(dense)]
    wide += [tf.keras.layers.Flatten()(tf.keras.layers.Embedding(f.size, 1)(inputs[f.name])) for f in ids]
    deep = tf.keras.layers.concatenate(
        [dense] + [tf.keras.layers.Flatten()(tf.keras.layers.Embedding(f.size, EMBEDDING)(inputs[f.name])) for f in ids]
    )
    for units in hidden_units:
        deep = tf.keras.layers.Dense(units, activation="relu")(deep)
        deep = tf.keras.layers.Dropout(dropout)(deep)
    logit = tf.keras.layers.add([*wide, tf.keras.layers.Dense(1)(deep)])
    probability = tf.keras.layers.Activation("sigmoid")(logit)
    model = tf.keras.Model(inputs, probability)
    model.compile(
        loss="binary_crossentropy",
        optimizer=tf.keras.optimizers.Adam(learning_rate),
        metrics=[tf.keras.metrics.AUC()],
    )
    model.summary(print_fn=logging.info)
    return model


def _serve_examples(model, tf_transform_output, label):
    model.tft_layer_inference = tf_transform_output.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec(shape=[None], dtype=tf.string, name="examples")])
    def serve_tf_examples_fn(serialized_tf_example):
        raw_feature_spec = tf_transform_output.raw_feature_spec()
        raw_feature_spec.pop(label)
        raw_features = tf.io.parse_example(serialized_tf_example, raw_feature_spec)
        transformed_features = model.tft_layer_inference(raw_features)
        return {"probability": model(transformed_features)}

    return serve_tf_examples_fn


def _transform_features(model, tf_transform_output):
    model.tft_layer_eval = tf_transform_output.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec(shape=[None], dtype=tf.string, name="examples")])
    def transform_features_fn(serialized_tf_example):
        raw_feature_spec = tf_transform_output.raw_feature_spec()
        raw_features = tf.io.parse_example(serialized_tf_example, raw_feature_spec)
        return model.tft_layer_eval(raw_features)

    return transform_features_fn


def run_fn(fn_args: tfx.components.FnArgs):
    config = fn_args.custom_config
    label, model_config = config["label"], config["model"]
    tf_transform_output = tft.TFTransformOutput(fn_args.transform_output)
    datasets = [
        _input_fn(files, fn_args.data_accessor, tf_transform_output, label, model_config["batch_size"])
        for files in (fn_args.train_files, fn_args.eval_files)
    ]
    with tf.distribute.MirroredStrategy().scope():
        model = _build_keras_model(
            Features.model_validate(config["features"], strict=False),
            model_config["hidden_units"],
            model_config["dropout"],
            model_config["learning_rate"],
        )
    model.fit(
        datasets[0],
        steps_per_epoch=fn_args.train_steps,
        validation_data=datasets[1],
        validation_steps=fn_args.eval_steps,
        callbacks=[tf.keras.callbacks.TensorBoard(log_dir=fn_args.model_run_dir, update_freq="epoch")],
    )
    signatures = {
        "serving_default": _serve_examples(model, tf_transform_output, label),
        "transform_features": _transform_features(model, tf_transform_output),
    }
    tf.saved_model.save(model, fn_args.serving_model_dir, signatures=signatures)
