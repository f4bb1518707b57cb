"""What is made from the chart: accounts for the end-to-end tests, plain manifests, the OLM bundle. See ../render."""
