"""The default config, which every other config changes; see the others for commands and times.

Every config has the variants of `configs/variants.py`: --config=configs/demo.py:no_entities.

Any field can be set on the command line: --config.optimizer.steps=4000.
"""

from ml_collections import ConfigDict

from configs import variants


def get_config(variant: str = "") -> ConfigDict:
    """The base model on `entity_scenes`, sized for a GPU or a patient CPU."""
    config = ConfigDict(
        {
            # Seed of the parameters, the order of the data, augmentation and guidance.
            "seed": 0,
            # Initial parameters: "base" or "tiny", released weights; or the workdir of another run,
            # for its newest checkpoint. Random if empty.
            "start_from": "",
            "data": {
                # Data set, with its TFDS config: entity_scenes, tno, roadscene, m3fd, msrs, folder.
                "name": "entity_scenes/default",
                # Folder of prepared data sets; TFDS's default if empty.
                "data_dir": "",
                # Folder with the files of a set that must be downloaded by hand.
                "manual_dir": "",
                # Folder of own pairs, vi/ and ir/, for the name "folder"; see configs/folder.py.
                "root": "",
                # Sets to train on instead of `name`, see configs/all.py. Validation takes pairs of
                # all of them in turn; --mode=evaluate and export use `name` only.
                "mixture": {},
                # Splits; sums such as "train+validation" and slices such as "train[:64]" work.
                "train_split": "train",
                "validation_split": "validation",
                "test_split": "test",
                # Side in pixels of the view of a pair (reduced as in inference) that the context is
                # computed from, a multiple of 16.
                "view": 288,
                # Side of the crops of a pair that are fused at full size, and their number.
                "crop": 128,
                "crops": 3,
                # Contrast of the target picture; less is more similar to the sources.
                "contrast": 1.0,
                # Pairs per step, over all devices.
                "batch_size": 4,
                # Processes that prepare batches; 0: threads of the training process.
                "workers": 0,
            },
            "model": {
                # Channels at 1/patch scale; twice as many at 1/(2 patch) scale.
                "width": 32,
                # Factor of the first pixel-unshuffle, 2 or 4.
                "patch": 2,
                # Channels of the visual tokens; channels and residual blocks of recognition.
                "tokens": 96,
                "deep_tokens": 152,
                "token_blocks": 3,
                # Heads of the attention between the streams.
                "heads": 4,
                # Width of the attention to entities.
                "dimension": 64,
                # For ablations, see configs/variants.py.
                "visual_interaction": True,
                "entity_level": "attention",
                # Type of the activations, float32 or bfloat16; parameters are float32.
                "dtype": "float32",
            },
            # Name of the table of text features of the vocabulary.
            "text_features": "minilm",
            "guidance": {
                # Which entities guide: own, or shuffled (another pair's).
                "source": "own",
                # Share of examples guided by the classifier's own probabilities.
                "self_guided": 0.3,
                # Share of examples without guidance.
                "unguided": 0.15,
                # Probability that an entity of the pair guides, in the other examples.
                "keep": 0.5,
                # Mean number of absent entities that guide as well.
                "distractors": 2.0,
            },
            # Weights of the loss terms, see egmt_jax/training/losses.py; 0 omits a term. Terms of
            # images are relative to those of the plain average.
            "loss": {
                "intensity": 4.0,
                "gradient": 2.0,
                "structure": 1.0,
                "prominence": 1.0,
                "classification": 1.0,
                "localisation": 1.0,
            },
            # AdamW with linear warm-up and cosine decay to 1 % of the learning rate.
            "optimizer": {
                "learning_rate": 1e-3,
                # Steps of the warm-up, and of the whole run.
                "warmup": 200,
                "steps": 8000,
                # Applies to matrices and kernels.
                "weight_decay": 1e-4,
                # Largest norm of the gradients; inf: no clipping.
                "clip": 1.0,
                # Decay of a moving average of the parameters, which replaces them in evaluation and
                # export; 0: none.
                "ema": 0.0,
            },
            # Devices that split a batch, and devices that split the parameters; data=-1: all
            # devices that mesh.model leaves.
            "mesh": {"data": -1, "model": 1},
            # Steps between checkpoints (0: only the last step), and how many of the newest to keep.
            "checkpoint": {"every": 500, "keep": 2},
            # Steps between logged losses, and between sample pictures; 0: none.
            "log": {"every": 50, "pictures_every": 1000},
            "evaluation": {
                # Steps between evaluations on the validation split, each of which saves a
                # checkpoint; 0: none.
                "every": 2000,
                # The best model by this metric is kept, for --best.
                "metric": "VIF",
                # Number of validation pairs.
                "most": 50,
                # What guides here and in --mode=evaluate and export: predicted (the classifier's
                # probabilities), own or shuffled (another pair's) entities, or none.
                "guidance": "predicted",
            },
            # Write a trace of a few steps, for TensorBoard or Perfetto.
            "profile": False,
        }
    )
    return variants.vary(config, variant)
