"""The row `csv` with pandas and scikit-learn: the file FILE into arrays of float. Prints `csv SECONDS`."""
import sys

import numpy as np
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from timing import median_seconds, report

COLUMNS = ["age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
           "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "wage"]
CONTINUOUS = ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
CATEGORICAL = ["workclass", "education", "marital-status", "occupation", "relationship", "race", "sex", "native-country"]


def csv():
    table = pandas.read_csv(sys.argv[1], header=None, names=COLUMNS)
    transformer = ColumnTransformer([("standard", StandardScaler(), CONTINUOUS),
                                     ("one_hot", OneHotEncoder(sparse_output=False, dtype=np.float32), CATEGORICAL)])
    x = transformer.fit_transform(table).astype(np.float32)
    y = (table["wage"] == " >50K").to_numpy(np.float32)[:, None]
    assert len(x) == len(y)


report({"csv": csv}, median_seconds)
