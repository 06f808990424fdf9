"""Forecasting: models of hourly time series."""
