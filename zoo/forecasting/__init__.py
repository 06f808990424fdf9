"""Forecasting tasks."""
