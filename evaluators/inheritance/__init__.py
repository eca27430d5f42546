"""Weight inheritance: a child's model begins with its parent's weights.

transfer: copies the weights.
alignment: finds which layer of the parent belongs to which of the child.
tensor_axes: finds what each index along the axes of a tensor stands for.
"""
