"""Airflow: land__<clock>, one DAG for each clock that a declared feed runs by."""

from include.orchestration.factory import clocks, land_dag

for clock in clocks():
    land_dag(clock)
