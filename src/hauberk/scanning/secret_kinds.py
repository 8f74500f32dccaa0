"""The kinds of secrets that providers hand out: prefix, length, alphabet, entropy, and a check where one is public.

Patterns follow the formats that providers publish; only checksums that were verified with a published example count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from hauberk.scanning.secret_checks import (
    crc_base62,
    is_address_token,
    is_bot_token,
    is_login,
    is_web_token,
)

_WORD = r"(?<![A-Za-z0-9_-])"
_END = r"(?![A-Za-z0-9_-])"
_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


class Pattern(NamedTuple):
    """A kind of secret. marks: literals one of which is in it, at most `lead` characters after where the match begins.

    any_case: the marks stand for themselves in upper case too.

    entropy: least bits a character. check: of a checksum, which speaks for an invented one where it fails.
    must: of a structure, without which it is none.
    """

    name: str
    family: str
    marks: tuple[str, ...]
    expression: str
    lead: int = 0
    entropy: float = 3.0
    check: Callable[[str], bool] | None = None
    must: Callable[[str], bool] | None = None
    any_case: bool = False

    @property
    def regex(self) -> re.Pattern[str]:
        """The expression, compiled when the first of its marks is met: most texts have none of the hundred."""
        return _compiled(self.expression)


def _is(
    name: str,
    family: str,
    marks: str,
    body: str,
    entropy: float = 3.0,
    check: Callable[[str], bool] | None = None,
    must: Callable[[str], bool] | None = None,
    lead: int = 0,
) -> Pattern:
    """Make a pattern for a secret that stands alone as a word and, without a lead, begins with one of its marks."""
    return Pattern(name, family, tuple(marks.split()), f"{_WORD}({body}){_END}", lead, entropy, check, must)


def _near(name: str, family: str, marks: str, value: str, entropy: float = 3.0) -> Pattern:
    """Make a pattern for a value without a prefix: it counts only where the provider's name stands before it."""
    words = marks.split()
    regex = rf"(?i:{'|'.join(words)})[\w .\-\[\]\"'(]{{0,40}}?[=:,(]\s*[\"']?{_WORD}({value}){_END}"
    return Pattern(name, family, tuple(words), regex, 0, entropy, any_case=True)


def _raw(
    name: str,
    family: str,
    marks: str,
    regex: str,
    entropy: float = 3.0,
    must: Callable[[str], bool] | None = None,
    lead: int = 0,
) -> Pattern:
    """Make a pattern that says itself where it begins and ends; its first group is the secret."""
    return Pattern(name, family, tuple(marks.split("|")), regex, lead, entropy, None, must)


_MODEL = "model_provider"
_CLOUD = "cloud"
_DEV = "development"
_MODELS = (
    _is("OpenAI key", _MODEL, "sk-", r"sk-(?:proj|svcacct|admin)-[\w-]{20,200}"),
    _is("OpenAI key", _MODEL, "T3BlbkFJ", r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}", lead=23),
    _is("OpenAI key", _MODEL, "sk-", r"sk-[A-Za-z0-9]{48}"),
    _is("DeepSeek key", _MODEL, "sk-", r"sk-[0-9a-f]{32}"),
    _is("Anthropic key", _MODEL, "sk-", r"sk-ant-(?:[a-z]{3,5}\d{2}-)?[A-Za-z0-9_-]{24,120}"),
    _is("Hugging Face token", _MODEL, "hf_ api_org_", r"(?:hf|api_org)_[A-Za-z0-9]{34,40}"),
    _is("Replicate token", _MODEL, "r8_", r"r8_[A-Za-z0-9]{37}"),
    _is("Groq key", _MODEL, "gsk_", r"gsk_[A-Za-z0-9]{52}"),
    _is("Perplexity key", _MODEL, "pplx-", r"pplx-[A-Za-z0-9]{48,56}"),
    _is("OpenRouter key", _MODEL, "sk-", r"sk-or-v1-[0-9a-f]{64}"),
    _is("xAI key", _MODEL, "xai-", r"xai-[A-Za-z0-9]{80}"),
    _is("NVIDIA key", _MODEL, "nvapi-", r"nvapi-[A-Za-z0-9_-]{60,80}"),
    _is("Pinecone key", _MODEL, "pcsk_", r"pcsk_[A-Za-z0-9]{5,8}_[A-Za-z0-9]{50,70}"),
    _is("LangSmith key", _MODEL, "lsv2_", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    _is("LangSmith key", _MODEL, "ls__", r"ls__[0-9a-f]{32}"),
    _is("Langfuse key", _MODEL, "sk-", rf"sk-lf-{_UUID}"),
    _is("LlamaCloud key", _MODEL, "llx-", r"llx-[A-Za-z0-9]{48}"),
    _is("Voyage key", _MODEL, "pa-", r"pa-[A-Za-z0-9_-]{43}", 4.0),
    _is("Google API key", _MODEL, "AIza", r"AIza[0-9A-Za-z_-]{33,39}"),
    _is("Together key", _MODEL, "tgp_v1_", r"tgp_v1_[A-Za-z0-9_-]{43}"),
    _is("Fireworks key", _MODEL, "fw_", r"fw_[A-Za-z0-9]{22,24}", 3.5),
    _is("Cerebras key", _MODEL, "csk-", r"csk-[a-z0-9]{48}"),
    _is("ElevenLabs key", _MODEL, "sk_", r"sk_[0-9a-f]{48}"),
    _is("Tavily key", _MODEL, "tvly-", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}"),
    _is("Jina key", _MODEL, "jina_", r"jina_[0-9a-f]{32}[A-Za-z0-9_-]{28}"),
    _is("Firecrawl key", _MODEL, "fc-", r"fc-[0-9a-f]{32}"),
    _is("RunPod key", _MODEL, "rpa_", r"rpa_[A-Z0-9]{38,46}"),
    _is("Helicone key", _MODEL, "sk-", r"sk-helicone-[a-z0-9-]{28,60}"),
    _is("Kaggle token", _MODEL, "KGAT_", r"KGAT_[0-9a-f]{32}"),
    _is("Weights & Biases key", _MODEL, "wandb_v1_", r"wandb_v1_[A-Za-z0-9_]{60,100}"),
    _is("Neptune token", _MODEL, "eyJhcGlfYWRkcmVzcyI6", r"eyJhcGlfYWRkcmVzcyI6[\w+/-]{60,400}={0,2}",
        must=is_address_token),
    _near("Weights & Biases key", _MODEL, "wandb", r"[0-9a-f]{40}"),
    _near("Cohere key", _MODEL, "cohere", r"[A-Za-z0-9]{40}", 4.0),
    _near("Mistral key", _MODEL, "mistral", r"[A-Za-z0-9]{32}", 4.0),
    _near("Together key", _MODEL, "together", r"[0-9a-f]{64}"),
    _near("Pinecone key", _MODEL, "pinecone", _UUID),
    _near("Kaggle key", _MODEL, "kaggle", r"[0-9a-f]{32}"),
    _raw("Kaggle key", _MODEL, "username",
         r"\"username\"\s*:\s*\"[\w-]{2,60}\"\s*,\s*\"key\"\s*:\s*\"([0-9a-f]{32})\"", lead=1),
    _near("Comet key", _MODEL, "comet", r"[A-Za-z0-9]{25}", 3.7),
    _near("Weaviate key", _MODEL, "weaviate", r"[A-Za-z0-9+/=_-]{36,120}", 3.7),
    _near("Qdrant key", _MODEL, "qdrant", r"[A-Za-z0-9_-]{32,120}", 3.9),
    _near("AssemblyAI key", _MODEL, "assemblyai", r"[0-9a-f]{32}"),
    _near("Deepgram key", _MODEL, "deepgram", r"[0-9a-f]{40}"),
    _near("Stability key", _MODEL, "stability", r"sk-[A-Za-z0-9]{40,60}"),
    _near("ClearML key", _MODEL, "clearml", r"[A-Z0-9]{20,30}|[A-Za-z0-9]{50}", 3.5),
    _near("Exa key", _MODEL, "exa_api", _UUID),
)  # fmt: skip
_CLOUDS = (
    _is("AWS access key", _CLOUD, "AKIA ASIA ABIA ACCA", r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}"),
    _near("AWS secret key", _CLOUD, "aws_secret secret_access_key secretaccesskey", r"[A-Za-z0-9+/]{40}", 4.0),
    _raw("AWS Bedrock key", _CLOUD, "ABSK", r"(?<![\w+/])(ABSK[A-Za-z0-9+/]{109,269}={0,2})(?![\w+/=])", 4.0),
    _raw("Azure storage key", _CLOUD, "AccountKey=", r"AccountKey=([A-Za-z0-9+/]{86}==)", 4.0),
    _raw("Azure shared access key", _CLOUD, "SharedAccessKey=", r"SharedAccessKey=([A-Za-z0-9+/]{43}=)", 4.0),
    _raw("Azure shared access signature", _CLOUD, "sig=", r"[?&;]sig=([A-Za-z0-9%/+]{43,90}(?:%3[Dd]|=))", 4.0, lead=1),
    _raw("Azure client secret", _CLOUD, "Q~", r"(?<![\w~.-])([\w~.-]{3}\dQ~[\w~.-]{31,34})(?![\w~.-])", 4.0, lead=4),
    _is("Azure AI key", _CLOUD, "JQQJ99", r"[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}", 4.0, lead=52),
    _near("Azure AI key", _CLOUD, "azure ocp-apim-subscription-key", r"[0-9a-f]{32}"),
    _is("Google OAuth secret", _CLOUD, "GOCSPX-", r"GOCSPX-[\w-]{28}"),
    _is("Google access token", _CLOUD, "ya29.", r"ya29\.[\w-]{60,1000}", 4.0),
    _is("Databricks token", _CLOUD, "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _is("DigitalOcean token", _CLOUD, "dop_v1_ doo_v1_ dor_v1_", r"do[por]_v1_[0-9a-f]{64}"),
    _is("Alibaba access key", _CLOUD, "LTAI", r"LTAI[A-Za-z0-9]{17,21}", 3.5),
    _is("Tencent secret id", _CLOUD, "AKID", r"AKID[A-Za-z0-9]{32}", 3.5),
    _is("Vault token", _CLOUD, "hvs. hvb.", r"hv[sb]\.[\w-]{90,300}", 4.0),
    _is("Terraform token", _CLOUD, ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,70}", 4.0, lead=14),
    _is("Pulumi token", _CLOUD, "pul-", r"pul-[0-9a-f]{40}"),
    _is("Supabase key", _CLOUD, "sbp_ sb_secret_", r"sbp_[0-9a-f]{40}|sb_secret_[\w-]{30,40}"),
    _is("PlanetScale token", _CLOUD, "pscale_", r"pscale_(?:tkn|pw|oauth)_[\w.=-]{32,64}"),
    _is("Heroku key", _CLOUD, "HRKU-", r"HRKU-[\w-]{58,64}"),
    _is("Scaleway key", _CLOUD, "SCW", r"SCW[A-Z0-9]{17}", 3.4),
    _near("Cloudflare token", _CLOUD, "cloudflare cf_api", r"[A-Za-z0-9_-]{37,40}", 4.0),
    _near("Snowflake password", _CLOUD, "snowflake_password snowflake_pass", r"[^\s\"',]{8,64}", 2.8),
    _near("IBM Cloud key", _CLOUD, "ibm_api ibmcloud ibm_cloud watsonx", r"[A-Za-z0-9_-]{44}", 4.0),
)
_DEVELOPMENT = (
    _is("GitHub token", _DEV, "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36}", 3.0, crc_base62),
    _is("GitHub token", _DEV, "github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _is("GitLab token", _DEV, "glpat- gldt- glrt- glft- glsoat-", r"gl(?:pat|dt|rt|ft|soat)-[A-Za-z0-9_.-]{20,64}"),
    _is("GitLab token", _DEV, "glptt- glcbt-", r"glptt-[0-9a-f]{40}|glcbt-[\w-]{20,64}"),
    _is("npm token", _DEV, "npm_", r"npm_[A-Za-z0-9]{36}", 3.0, crc_base62),
    _is("PyPI token", _DEV, "pypi-AgE", r"pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBp)[A-Za-z0-9_-]{50,300}"),
    _is("Docker Hub token", _DEV, "dckr_pat_ dckr_oat_", r"dckr_[po]at_[A-Za-z0-9_-]{27,32}"),
    _is("Slack token", _DEV, "xox", r"xox[abeoprs]-(?:\d+-)*[A-Za-z0-9-]{20,120}"),
    _is("Slack app token", _DEV, "xapp-", r"xapp-\d-[A-Z0-9]{8,14}-\d{10,15}-[0-9a-f]{64}"),
    _raw("Slack webhook", _DEV, "hooks.slack.com",
         r"(https://hooks\.slack\.com/(?:services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}|workflows/T\w+/A\w+/\d+)"
         r"/[A-Za-z0-9]{20,})", lead=8),
    _raw("Discord webhook", _DEV, "/api/webhooks/",
         r"(https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,80})", lead=40),
    _raw("Teams webhook", _DEV, "webhook.office.com",
         r"(https://\w+\.webhook\.office\.com/webhookb2/[\w@-]+/\w+/[0-9a-f]{32}/\S{36})", lead=40),
    _raw("Discord token", _DEV, "discord|Discord|DISCORD",
         rf"(?i:discord)[^\n]{{0,120}}?{_WORD}([MNO][\w-]{{22,27}}\.[\w-]{{6}}\.[\w-]{{27,40}}){_END}",
         4.0, is_bot_token),
    _is("Telegram token", _DEV, ":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{32,34}", 4.0, lead=10),
    _is("Stripe key", _DEV, "sk_live_ rk_live_ whsec_", r"[sr]k_live_[0-9A-Za-z]{16,120}|whsec_[A-Za-z0-9+/]{32,64}"),
    _is("Twilio key", _DEV, "SK", r"SK[0-9a-f]{32}"),
    _near("Twilio token", _DEV, "twilio", r"[0-9a-f]{32}"),
    _is("SendGrid key", _DEV, "SG.", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _is("Mailchimp key", _DEV, "-us", r"[0-9a-f]{32}-us\d{1,2}", lead=32),
    _is("Mailgun key", _DEV, "key-", r"key-[0-9a-f]{32}"),
    _is("Square token", _DEV, "sq0csp- sq0atp- EAAA", r"sq0(?:csp|atp)-[\w-]{22,43}|EAAA[\w-]{60}"),
    _is("Shopify token", _DEV, "shpat_ shpss_ shpca_ shppa_", r"shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}"),
    _is("Notion token", _DEV, "ntn_", r"ntn_[A-Za-z0-9]{46}"),
    _is("Linear key", _DEV, "lin_api_", r"lin_api_[A-Za-z0-9]{40}"),
    _is("Atlassian token", _DEV, "ATATT3", r"ATATT3[A-Za-z0-9_=-]{180,220}"),
    _is("Postman key", _DEV, "PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    _is("Sentry token", _DEV, "sntrys_ sntryu_", r"sntrys_eyJ[\w+/=-]{80,400}|sntryu_[0-9a-f]{64}"),
    _is("Grafana token", _DEV, "glsa_ glc_", r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}|glc_[A-Za-z0-9+/]{60,400}={0,2}"),
    _is("New Relic key", _DEV, "NRAK-", r"NRAK-[A-Z0-9]{27}"),
    _is("RubyGems key", _DEV, "rubygems_", r"rubygems_[0-9a-f]{48}"),
    _is("Doppler token", _DEV, "dp.", r"dp\.(?:pt|st|ct|sa)\.[\w.-]{40,60}"),
    _is("CircleCI token", _DEV, "CCIPAT_", r"CCIPAT_[A-Za-z0-9]{22}_[0-9a-f]{40}"),
    _is("Airtable token", _DEV, "pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    _is("Figma token", _DEV, "figd_", r"figd_[\w-]{40,46}"),
    _is("Artifactory key", _DEV, "AKCp", r"AKCp[A-Za-z0-9]{69}"),
    _is("Sourcegraph token", _DEV, "sgp_", r"sgp_(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}"),
    _is("1Password token", _DEV, "ops_eyJ", r"ops_eyJ[\w+/=-]{200,1500}"),
    _raw("login of a registry", _DEV, "\"auth\"", r"\"auth\"\s*:\s*\"([A-Za-z0-9+/]{12,400}={0,2})\"", 2.5, is_login),
    _raw("login in a header", _DEV, "Basic |basic ",
         r"(?i:authorization)[\"']?\s*[:=,]\s*[bf]?[\"']?\s*[Bb]asic ([A-Za-z0-9+/]{12,400}={0,2})",
         2.5, is_login, lead=30),
)  # fmt: skip
_OTHERS = (
    _raw(
        "private key",
        "private_key",
        "PRIVATE KEY|Private-Lines:",
        r"(-----BEGIN (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----(?:\\[rn]|[\s\"',+>|])+"
        r"(?:[A-Za-z0-9+/=-][^-]{0,200}?)?[A-Za-z0-9+/]{40}|Private-Lines: \d+\s+[A-Za-z0-9+/]{40})",
        0.0,
        lead=32,
    ),
    _is(
        "age private key", "private_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"
    ),
    _is(
        "JSON web token",
        "web_token",
        "eyJ",
        r"eyJ[\w-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,1000}",
        must=is_web_token,
    ),
)
PATTERNS = (*_MODELS, *_CLOUDS, *_DEVELOPMENT, *_OTHERS)
