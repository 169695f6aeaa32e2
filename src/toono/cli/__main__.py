# SPDX-License-Identifier: Apache-2.0
"""`python -m toono.cli`."""

from toono.cli import main

main()
