# SPDX-License-Identifier: Apache-2.0
"""What a person looks at: the live table of the command line, and the picture in RViz."""
