"""Names of packages that machine-learning projects use, and names so close to one that they may be a trap."""

from __future__ import annotations

_POPULAR = """
accelerate aiohttp albumentations anthropic autogluon bentoml bitsandbytes boto3 catboost chromadb cohere crewai
cryptography cupy dask datasets deepspeed diffusers dspy evaluate faiss-cpu faiss-gpu fastai fastapi flash-attn
flask gensim google-generativeai gradio gunicorn haystack-ai httpx huggingface-hub hydra-core imbalanced-learn
ipykernel jinja2 joblib jsonschema jupyter jupyterlab keras kornia langchain langchain-community langchain-core
langchain-experimental langchain-openai langgraph lightgbm lightning litellm llama-cpp-python llama-index
llama-index-core matplotlib mlflow mlxtend msgspec mxnet networkx nltk notebook numba numpy omegaconf onnx
onnxruntime onnxruntime-gpu openai opencv-python opencv-python-headless optuna pandas peft pillow pinecone
pinecone-client plotly polars protobuf pyarrow pydantic pyspark pytest pytorch-lightning pyyaml qdrant-client
requests safetensors scikit-image scikit-learn scipy seaborn sentence-transformers sentencepiece shap skops
smolagents spacy sqlalchemy starlette statsmodels streamlit sympy tensorboard tensorflow tensorflow-cpu
tensorflow-gpu tiktoken tokenizers torch torchaudio torchmetrics torchtext torchvision tornado transformers
tritonclient ultralytics unsloth urllib3 uvicorn wandb weaviate-client werkzeug xformers xgboost
"""
POPULAR = frozenset(_POPULAR.split())
_OTHERS = frozenset(["dataset", "flax", "jinja", "optax", "plotnine", "tf-keras", "tokenizer", "torchao", "torchx"])
"""Real packages near a popular name."""
MISTAKEN = {
    "pytorch": "torch", "sklearn": "scikit-learn", "cv2": "opencv-python", "opencv": "opencv-python",
    "huggingface": "huggingface-hub", "hf-transformers": "transformers", "python-torch": "torch",
    "tensor-flow": "tensorflow", "pil": "pillow", "skimage": "scikit-image", "yaml": "pyyaml", "faiss": "faiss-cpu",
    "llama-cpp": "llama-cpp-python", "open-ai": "openai", "lang-chain": "langchain", "llamaindex": "llama-index",
    "huggingface-cli": "huggingface-hub", "torch-vision": "torchvision", "xg-boost": "xgboost",
    "light-gbm": "lightgbm", "python-pandas": "pandas", "python-numpy": "numpy", "gpt4": "openai", "chatgpt": "openai",
}  # fmt: skip
"""Names that people and language models write by mistake; somebody else may own them.

"huggingface-cli" is the known case of a name that models invented.
"""
_SHORTEST = 5


def meant(name: str) -> str | None:
    """Return the popular package a name is one slip away from; None for known names and for others."""
    if name in POPULAR or name in _OTHERS:
        return None
    if name in MISTAKEN:
        return MISTAKEN[name]
    if len(name) < _SHORTEST:
        return None
    squeezed = name.replace("-", "")
    for popular in sorted(POPULAR):
        if len(popular) >= _SHORTEST and (squeezed == popular.replace("-", "") or one_slip(name, popular)):
            return popular
    return None


def one_slip(first: str, second: str) -> bool:
    """Tell whether one insertion, deletion, replacement or swap of neighbours turns one name into the other."""
    if first == second or abs(len(first) - len(second)) > 1:
        return False
    start = next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    a, b = first[start:], second[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
    return a[1:] == b if len(a) > len(b) else a == b[1:]
