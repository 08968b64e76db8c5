"""The data scientist's room: what is predicted, from which features, with which model.

`Model` is the one model that this service trains and serves. To serve your own, write it beside the example and name it
here.
"""

from .regressor import HousePriceRegressor as Model

__all__ = ["Model"]
