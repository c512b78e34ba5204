"""What every config starts from; see the others for commands, times and numbers to expect.

Every config has the variants of `configs/variants.py`: --config=configs/demo.py:no_entities.

Any field can be set on the command line: --config.optimizer.steps=4000.
"""

from ml_collections import ConfigDict

from configs import variants


def get_config(variant: str = "") -> ConfigDict:
    """The base model on `entity_scenes`, sized for a GPU or a patient CPU."""
    config = ConfigDict(
        {
            "seed": 0,
            # Workdir of a run whose newest parameters a new run begins with, or "released" for the
            # weights that come with the package; random ones if empty.
            "start_from": "",
            "data": {
                "name": "entity_scenes/default",
                # Where prepared data sets live; TFDS's default if empty.
                "data_dir": "",
                # Folder with the files of a set that has to be fetched by hand.
                "manual_dir": "",
                # Own pairs in ir/ and vi/, see configs/folder.py; read for the name "folder".
                "root": "",
                # Sets to train on in place of `name`, see configs/all.py. During training pairs of
                # all of them are scored in turn; --mode=evaluate and export take `name` alone.
                "mixture": {},
                "train_split": "train",
                "validation_split": "validation",
                "test_split": "test",
                # Side of the training crops in pixels, 17 to 256.
                "crop": 128,
                # Share of examples that show the largest square of the whole pair, reduced.
                "whole": 0.3,
                # Weight of the losses of gradient, structure, information and edges, 0 to 1: 0 for
                # pictures whose resolution is too low to learn edges from.
                "detail": 1.0,
                # Largest change of gain and gamma, as a natural logarithm.
                "jitter": 0.1,
                "batch_size": 8,
                # Processes that prepare batches; 0: threads.
                "workers": 0,
            },
            "model": {
                "width": 32,
                "patch": 2,
                "tokens": 96,
                "token_blocks": 2,
                "joint_blocks": 0,
                "heads": 4,
                "dimension": 64,
                # For ablations, see configs/variants.py.
                "visual_interaction": True,
                "entity_level": "attention",
                "dtype": "float32",
            },
            "text_features": "minilm",
            "guidance": {
                # What guides: own or shuffled (another pair's) entities, or a sentence, the pair's
                # captions.
                "given": "own",
                "boost": 0.75,
                "emphasis": 8.0,
                "sharpen": 1.5,
                # Share of the sources' sum in the intensity target; the rest is their maximum.
                "additive": 0.3,
                # Deviation that is asked for, relative to that of the sources.
                "contrast": 1.4,
                "self_guided": 0.3,
                "unguided": 0.15,
                "keep": 0.5,
                "distractors": 2.0,
            },
            "loss": {
                # What the terms are: egmt_jax/losses.py. A weight of 0 leaves a term out.
                "intensity": 5.0,
                "prominence": 12.0,
                "gradient": 9.0,
                "structure": 1.2,
                "information": 2.5,
                "edges": 10.0,
                "complementarity": 1.75,
                "mutual_information": 5.0,
                "contrast": 10.0,
                "exposure": 400.0,
                "classification": 1.5,
                "localisation": 0.6,
            },
            "optimizer": {
                "learning_rate": 1e-3,
                "warmup": 200,
                "steps": 8000,
                "weight_decay": 1e-4,
                # Largest norm of the gradients; inf: any.
                "clip": 1.0,
                # Factors on the learning rate by module, 0 freezes; on the command line
                # --config.optimizer.module_rates="{'classifier': 0.1}".
                "module_rates": {},
                # Decay of a moving average of the parameters, which is then used; 0: none.
                "ema": 0.0,
                # Parts a batch is computed in, one after the other, to save memory.
                "accumulate": 1,
            },
            "classifier": {"label_smoothing": 0.0},
            # data=-1: all devices that mesh.model leaves.
            "mesh": {"data": -1, "model": 1},
            "checkpoint": {"every": 500, "keep": 2},
            "log": {"every": 50, "pictures_every": 1000},
            "evaluation": {
                # Steps between evaluations on the validation split; 0: none.
                "every": 2000,
                # The best model by this metric is kept beside the last.
                "metric": "VIF",
                # Of how many pairs of the split at most.
                "most": 50,
                # What guides, here and in evaluation and export: probabilities (the classifier's),
                # own or shuffled (another pair's) entities, or a sentence, the pair's captions.
                "given": "probabilities",
            },
            # Writes a trace of a few steps, for TensorBoard or Perfetto.
            "profile": False,
        }
    )
    return variants.vary(config, variant)
