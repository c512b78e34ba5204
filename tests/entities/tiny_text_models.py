"""Random models small enough for tests, saved as `from_pretrained` reads them."""

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

torch.set_num_threads(1)  # threads only wait for each other on models this small

SPECIAL = ("<pad>", "</s>", "<s>", "<unk>", "<image>")
WORDS = (
    *("a", "an", "the", "and", "with", "on", "at", "of", "in", "by", ",", ".", ":"),
    *("photo", "person", "people", "car", "road", "tree", "night", "bright", "glows", "red"),
    *("list", "physical", "objects", "this", "sentence", "separated", "commas", "zeppelin"),
)


def make_tokenizer(end: bool = False) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer of whole words; `end` appends the end-of-text token, as T5's and CLIP's do."""
    words = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if end:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", words["</s>"])]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )


def save_tiny_clip(folder) -> str:
    """A CLIP text model with 12-d projected embeddings."""
    tokenizer = make_tokenizer(end=True)
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=24,
        projection_dim=12,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    transformers.CLIPTextModelWithProjection(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def save_tiny_blip2(folder) -> str:
    """A BLIP-2 captioner over OPT for 32x32 images."""
    tokenizer = make_tokenizer()
    layers = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = transformers.Blip2Config(
        vision_config=layers | {"image_size": 32, "patch_size": 16},
        qformer_config=layers | {"vocab_size": len(tokenizer), "encoder_hidden_size": 16},
        text_config={
            "model_type": "opt",
            "vocab_size": len(tokenizer),
            "hidden_size": 16,
            "ffn_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 128,
            "word_embed_proj_dim": 16,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 1,
        },
        num_query_tokens=4,
        image_token_index=SPECIAL.index("<image>"),
    )
    torch.manual_seed(0)
    network = transformers.Blip2ForConditionalGeneration(config)
    with torch.no_grad():  # large random weights, so that the caption depends on the image
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter))
    network.save_pretrained(folder)
    transformers.Blip2Processor(
        transformers.BlipImageProcessor(size={"height": 32, "width": 32}),
        tokenizer,
        num_query_tokens=4,
    ).save_pretrained(folder)
    return str(folder)


def save_tiny_t5(folder) -> str:
    """A T5 with random weights: its answers are words of the tokenizer."""
    tokenizer = make_tokenizer(end=True)
    config = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    torch.manual_seed(1)
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
